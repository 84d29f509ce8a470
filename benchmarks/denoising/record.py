"""The record of a run, written after every image, from which a run that was stopped goes on."""

import json
import os
import time
from pathlib import Path

from tqdm import tqdm

from benchmarks.denoising import methods
from benchmarks.denoising.images import Case
from benchmarks.denoising.methods import Setting


def resumed(path: Path, settings: dict[str, Setting]) -> dict:
    """What an earlier run left in the file, or an empty record of these settings."""
    made_by = json.loads(
        json.dumps({"records": methods.RECORDS, "last": methods.LAST, "ratio": methods.RATIO, "settings": settings})
    )
    if not path.exists():
        return {"made by": made_by, "seconds": 0.0, "cases": {}}
    kept = json.loads(path.read_text())
    if kept["made by"] != made_by:
        raise ValueError(f"--out holds {str(path)!r} of other settings; it may be a folder without one, or of these.")
    return kept


def run(path: Path, todo: list[Case], settings: dict[str, Setting]) -> dict:
    """Measure the cases that the file lacks, and write it after each."""
    record = resumed(path, settings)
    for case in tqdm([case for case in todo if case.key not in record["cases"]], unit="image"):
        start = time.perf_counter()
        record["cases"][case.key] = methods.measure(case, settings)
        record["seconds"] += time.perf_counter() - start
        partly = path.with_suffix(".partly")
        partly.write_text(json.dumps(record, indent=1, ensure_ascii=False))
        os.replace(partly, path)
    return record
