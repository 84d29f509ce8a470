"""Where a report comes from: commands, machines, versions, hashes, settings."""

from __future__ import annotations

from typing import Any

from isvs_jax.robustness.evaluation.report import Report
from isvs_jax.robustness.evaluation.text import radius, shape


def provenance(report: Report) -> str:
    """A list of what a report was made with."""
    made = report.made
    versions = ", ".join(f"{name} {number}" for name, number in made.get("versions", {}).items())
    parts = {"corruption": "corruptions", "resolution": "low resolution", "attack": "attacks", "curve": "ε-curves"}
    parts |= {"doubling": "twice the steps"}
    seconds = made.get("seconds", {})
    times = ", ".join(f"{parts.get(part, part)} {value:.0f} s" for part, value in seconds.items())
    settings = ", ".join(f"{name} = {_setting(value)}" for name, value in report.settings.items())
    lines = [
        *map(_session, made.get("sessions", [])),
        f"Time: {sum(seconds.values()):.0f} s ({times}), in batches of {made.get('batch_size', '?')}",
        f"Versions: {versions}",
        f"Preprocessing inside the model, of images in [0, 1]: {report.preprocessing or 'not said'}",
        f"Data: {report.count} images {shape(report)}, {report.num_classes} classes, SHA-256 {made.get('data')}",
        f"Parameters: SHA-256 {made.get('parameters') or 'not given'}",
        *([] if made.get("defence") is None else [f"Defence: {made['defence'] or 'not described'}"]),
        *([] if made.get("corrupted") is None else [f"Corrupted images from: {made['corrupted']}"]),
        f"Random key: {made.get('key')}",
        f"Settings: {settings}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _session(session: dict[str, Any]) -> str:
    hardware = session.get("hardware", {})
    return (
        f"Made on {session.get('date', 'unknown')}: {session.get('cells', '?')} cells in "
        f"{session.get('seconds', 0.0):.0f} s, commit {session.get('commit', 'unknown')}, by "
        f"`{session.get('command', 'unknown')}` on "
        f"{hardware.get('processor', 'unknown')}, {hardware.get('cores', '?')} cores; "
        f"{hardware.get('device_count', '?')} device(s) of platform {hardware.get('platform', '?')}, kind "
        f"{hardware.get('device_kind', '?')}; {hardware.get('system', '?')}"
    )


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{norm} {' '.join(radius(epsilon) for epsilon in radii)}" for norm, radii in value.items())
    if isinstance(value, list | tuple):
        return f"{len(value)} of them" if len(value) > 5 else " ".join(map(str, value)) or "none"
    return str(value)
