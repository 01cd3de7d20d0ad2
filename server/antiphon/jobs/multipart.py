"""File in a form (`multipart/form-data`), as sent by `curl -F file=@take.wav` and browsers, piece by piece."""

from collections import deque
from collections.abc import AsyncIterator

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from antiphon.kernel.errors import WireError

MAX_HEADER = 4096
"""Maximum bytes of the headers of one part."""


class FormFile:
    """First part of a form with a file name; parts before and after it are read and dropped."""

    def __init__(self, content_type: str, pieces: AsyncIterator[bytes]) -> None:
        """Starts idle. The header `content_type` names the boundary. Raises WireError: the header names no boundary."""
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise WireError("the Content-Type of the form names no boundary")
        self.name = ""  # the file's name, set by `begin`
        self._pieces, self._found = pieces, deque[bytes]()
        self._field, self._header, self._header_bytes = b"", b"", 0
        self._inside = self._over = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
            },
        )

    async def begin(self) -> AsyncIterator[bytes]:
        """Reads up to the file's name, and returns the file's bytes, piece by piece.

        Raises WireError: the form has no file, or is none.
        """
        while not (self._inside or self._over):
            if not await self._more():
                raise WireError("the form holds no file; send one as curl does with -F file=@take.wav")
        return self._content()

    async def _content(self) -> AsyncIterator[bytes]:
        while True:
            while self._found:
                yield self._found.popleft()
            if not await self._more():
                break
        if not self._over:
            raise WireError("the form ends before its file does")

    async def _more(self) -> bool:
        """Parses the next piece; False at the end of the body."""
        async for piece in self._pieces:
            try:
                self._parser.write(piece)
            except MultipartParseError:
                raise WireError("the body is not the form that its Content-Type says") from None
            return True
        return False

    def _begin_part(self) -> None:
        self._field = self._header = b""
        self._header_bytes = 0

    def _count(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > MAX_HEADER:
            raise WireError(f"the headers of a part of the form have more than {MAX_HEADER} bytes")

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header += data[start:end]

    def _end_header(self) -> None:
        if not self._over and self._field.lower() == b"content-disposition":
            name = parse_options_header(self._header)[1].get(b"filename", b"")
            self.name, self._inside = name.decode("utf-8", "replace"), bool(name)
        self._field = self._header = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._found.append(data[start:end])

    def _end_part(self) -> None:
        self._over |= self._inside
        self._inside = False
