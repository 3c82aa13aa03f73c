"""Interlaced pictures made progressive: FFmpeg's bwdif, one picture out for each that comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.filter import Graph

from dsaecodec.video.decoding import Picture


class Deinterlacer:
    """Passes pictures on; those marked as interlaced get their missing lines interpolated.

    Pictures too small for the filter (a plane of less than 3x4) pass as they are.

    Args:
        parity: "tff" or "bff" where the source says that every picture is interlaced so; "auto"
            where each frame says.

    Attributes:
        found: whether an interlaced picture has passed.
    """

    def __init__(self, parity: str = "auto") -> None:
        self.found = parity != "auto"
        which = "all" if self.found else "interlaced"
        self._options = f"mode=send_frame:parity={parity}:deint={which}"
        self._graph: Graph | None = None
        self._format: tuple[object, ...] = ()
        self._inside: deque[Picture] = deque()  # what is known of the pictures in the filter
        self._count = 0

    def run(self, pictures: Iterable[Picture]) -> Iterator[Picture]:
        """Yield as many pictures as come in, in the same order, with the same times."""
        for picture in pictures:
            yield from self._push(picture)
        yield from self._drain()

    def _push(self, picture: Picture) -> Iterator[Picture]:
        frame = picture.frame
        self.found = self.found or frame.interlaced_frame
        if not self.found:
            yield picture
            return
        found = (frame.width, frame.height, frame.format.name)
        if found != self._format:
            yield from self._drain()
            self._format, self._graph = found, self._build(frame)
        if self._graph is None:
            yield picture
            return
        frame.pts, frame.time_base = self._count, Fraction(1, 25)  # the filter wants some
        self._count += 1
        self._inside.append(picture)
        self._graph.push(frame)
        yield from self._pull()

    def _drain(self) -> Iterator[Picture]:
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
        self._graph, self._format = None, ()

    def _pull(self) -> Iterator[Picture]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, av.VideoFrame)
            yield self._inside.popleft()._replace(frame=frame)

    def _build(self, frame: av.VideoFrame) -> Graph | None:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
        )
        graph.link_nodes(source, graph.add("bwdif", self._options), graph.add("buffersink"))
        try:
            graph.configure()
        except av.FFmpegError:
            return None
        return graph
