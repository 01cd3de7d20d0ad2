"""HTTP/1.1 within limits: connections, requests, routes and answers. It knows no OSC."""
