"""Preparation of pictures and recordings with one or several threads, and start with or without the memo of digests.

Preparing: pictures of 32 and 500 pixels and recordings of 15 seconds, one per file, are read, checked and written to
the cache. One thread and the default number of threads alternate. The rows must be identical. The fastest run of each
side counts, because other programs mainly slow down the second core.

Starting: the cache is complete. The timing covers the check that it matches the data: with the memo, and without the
memo, when all files are read and hashed and the memo is written. The files are in memory, where reading is fastest.

    python benchmarks/preparing.py [--runs 7]
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from unittest import mock

import numpy as np
import soundfile
from PIL import Image

from common import scratch
from tp_core import load_spec
from tp_core.data import ordered_parallel_map
from tp_core.data.build import build_processor
from tp_core.data.cache.digest_cache import MEMO
from tp_core.data.cache.prepared import cache_folder, prepared_rows
from tp_core.spec.schema import Spec

_IMAGE = "extends: simmim-base\ndata:\n"
_AUDIO = "extends: wav2vec2-base\ndata:\n"


def picture(size: int, form: str, draw: np.random.Generator) -> bytes:
    """A picture of smooth colours with noise. As a JPEG, it has about the size of a photograph."""
    colours = Image.fromarray(draw.integers(0, 256, (size // 16 + 2, size // 16 + 2, 3), dtype=np.uint8))
    values = np.asarray(colours.resize((size, size), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(values + draw.normal(0, 12, values.shape), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, form)
    return stream.getvalue()


def recording(seconds: int, form: str, draw: np.random.Generator) -> bytes:
    walk = np.convolve(draw.normal(size=seconds * 16000), np.hanning(32), "same")
    stream = io.BytesIO()
    soundfile.write(stream, walk / np.abs(walk).max() / 2, 16000, format=form)
    return stream.getvalue()


def data(folder: Path, name: str, contents: list[bytes], count: int) -> Path:
    """Write ``count`` files, which repeat the given contents."""
    (folder / name).mkdir()
    for number in range(count):
        (folder / name / f"{number:06}.{name.split('-')[0]}").write_bytes(contents[number % len(contents)])
    return folder / name


def spec_of(folder: Path, begin: str, files: Path, cache: str) -> Spec:
    path = folder / "spec.yaml"
    path.write_text(f"{begin}  train: {files}\n  cache: {folder / cache}\n")
    return load_spec(path)


def started(spec: Spec) -> tuple[float, Path]:
    """Seconds until the rows are prepared, and their file."""
    processor = build_processor(spec, None)
    assert processor is not None
    assert spec.data.options.train is not None
    start = time.perf_counter()
    rows = prepared_rows(spec, processor, spec.data.options.train)
    return time.perf_counter() - start, rows.path


def compare_preparing(folder: Path, name: str, begin: str, files: Path, runs: int) -> None:
    cores = ordered_parallel_map.usable_cores()
    times: dict[int, list[float]] = {1: [], cores: []}
    made: set[bytes] = set()
    spec = spec_of(folder, begin, files, f"cache-{files.name}")
    # Fill the memo and load libraries before the timing.
    started(spec)[1].unlink()
    for _ in range(runs):
        for threads, seconds in times.items():
            with mock.patch.object(ordered_parallel_map, "usable_cores", lambda threads=threads: threads):
                took, path = started(spec)
            seconds.append(took)
            made.add(path.read_bytes())
            path.unlink()
    assert len(made) == 1, "the rows depend on the number of threads"
    one, several = min(times[1]), min(times[cores])
    count = len(list(files.iterdir()))
    print(f"  {name:<34} {count / one:>8,.0f} /s {count / several:>8,.0f} /s   ratio {one / several:.2f}")


def compare_starting(folder: Path, name: str, files: Path, runs: int) -> None:
    spec = spec_of(folder, _IMAGE, files, f"cache-{files.name}")
    started(spec)
    without, kept = [], []
    for _ in range(runs):
        (cache_folder(spec) / MEMO).unlink()
        without.append(started(spec)[0])
        kept.append(started(spec)[0])
    sizes = [file.stat().st_size for file in files.iterdir()]
    shown = f"{len(sizes):,} {name}, {sum(sizes) / 1e6:,.0f} MB"
    slow, fast = min(without), min(kept)
    print(f"  {shown:<34} {slow:>8.3f} s  {fast:>8.3f} s    ratio {slow / fast:.1f}")


def main(runs: int) -> None:
    folder, draw = scratch(), np.random.default_rng(0)
    small = data(folder, "png-32", [picture(32, "PNG", draw) for _ in range(50)], 4000)
    photos = data(folder, "jpg-500", [picture(500, "JPEG", draw) for _ in range(20)], 600)
    flac = data(folder, "flac-15", [recording(15, "FLAC", draw) for _ in range(5)], 200)
    mp3 = data(folder, "mp3-15", [recording(15, "MP3", draw) for _ in range(5)], 200)
    large = data(folder, "jpg-1500", [picture(1500, "JPEG", draw) for _ in range(8)], 1000)
    time.sleep(2.5)  # the memo does not store newer files
    print(f"preparing: 1 thread, {ordered_parallel_map.usable_cores()} cores; the fastest of {runs} runs each")
    compare_preparing(folder, "pictures of 32 pixels, PNG", _IMAGE, small, runs)
    compare_preparing(folder, "pictures of 500 pixels, JPEG", _IMAGE, photos, runs)
    compare_preparing(folder, "recordings of 15 s, FLAC", _AUDIO, flac, runs)
    compare_preparing(folder, "recordings of 15 s, MP3", _AUDIO, mp3, runs)
    print("starting with a complete cache: without the memo, with it")
    compare_starting(folder, "pictures", small, runs)
    compare_starting(folder, "pictures", large, runs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    main(parser.parse_args().runs)
