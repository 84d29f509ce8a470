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
    """What an earlier run left in the file, or an empty record; settings that it lacks are added."""
    made_by = {"records": methods.RECORDS, "last": methods.LAST, "ratio": methods.RATIO}
    named = json.loads(json.dumps(settings))
    if not path.exists():
        return {"made by": made_by | {"settings": named}, "seconds": 0.0, "cases": {}}
    kept = json.loads(path.read_text())
    named = kept["made by"]["settings"] | named
    if kept["made by"] != made_by | {"settings": {name: named[name] for name in kept["made by"]["settings"]}}:
        raise ValueError(f"--out must be a folder without a record, or with one of these settings; got {str(path)!r}.")
    kept["made by"]["settings"] = named
    return kept


def run(path: Path, todo: list[Case], settings: dict[str, Setting]) -> dict:
    """Measure what the file lacks, and write it after each image."""
    record = resumed(path, settings)
    known = record["cases"]
    wanted = methods.names(settings)
    for case in tqdm([case for case in todo if not wanted <= known.get(case.key, {}).keys()], unit="image"):
        start = time.perf_counter()
        known[case.key] = methods.measure(case, settings, known.get(case.key, {}))
        record["seconds"] += time.perf_counter() - start
        partly = path.with_suffix(".partly")
        partly.write_text(json.dumps(record, indent=1, ensure_ascii=False))
        os.replace(partly, path)
    return record
