"""HTTP/1.1 with limits: connections, requests, routes and answers. It knows no OSC."""
