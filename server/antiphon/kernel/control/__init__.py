"""Control process: everything between the sockets and the engine. It never touches samples."""
