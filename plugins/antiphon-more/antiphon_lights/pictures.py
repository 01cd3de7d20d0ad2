"""Pages that show pictures by hydra, which the performer's browser loads from a file; it is not part of Antiphon."""

from importlib import resources

from antiphon.api.backends.http import HttpRequest, HttpServer, Response

PATH = "/plugins/lights/hydra"
_NOTHING = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors "
_OUTER = f"{_NOTHING}'none'; script-src 'self'; connect-src 'self'; frame-src 'self'"
# what is loaded and typed there is evaluated without an origin, so it has no key, and no connection
_INNER = (
    f"{_NOTHING}'self'; sandbox allow-scripts; script-src 'unsafe-inline' 'unsafe-eval' blob:; img-src data: blob:; "
    "media-src data: blob:"
)
_FILES = {
    PATH: ("hydra.html", "text/html", _OUTER),
    f"{PATH}/hydra.js": ("hydra.js", "text/javascript", _OUTER),
    f"{PATH}/canvas": ("canvas.html", "text/html", _INNER),
}


def add_routes(http: HttpServer) -> None:
    """Adds the page, its script, and the frame in which hydra runs."""
    for path in _FILES:
        http.add("GET", path, _file)


def _file(request: HttpRequest) -> Response:
    name, kind, policy = _FILES[request.path]
    body = (resources.files("antiphon_lights") / "hydra" / name).read_bytes()
    return Response(200, body, f"{kind}; charset=utf-8", (("Content-Security-Policy", policy),))
