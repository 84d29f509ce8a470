"""The command `python -m isvs_jax.accelerator`: checks and measurements, a JSON file and a page."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from isvs_jax import environment
from isvs_jax._command import exit_status
from isvs_jax._files import write_atomically, write_json
from isvs_jax.accelerator.agreement import Check, checks
from isvs_jax.accelerator.speed import FULL, SMALL, Ceilings, Rate, ceilings, rates

PROG = "python -m isvs_jax.accelerator"
# On the chip it should be so many times as fast, at every size, to be what is taken by default.
_WORTH = 1.1


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """Check that the library is right on the devices at hand, and measure how fast it is; in less than ten minutes.

    Attributes:
        out: The folder for accelerator.json and accelerator.md, which are written anew after every measurement.
        extent: How much is measured: "full" is meant for accelerators, "small" ends on a CPU within minutes; "auto"
            takes the first where there is an accelerator.
    """

    out: Path = Path("results/accelerator")
    extent: Literal["auto", "full", "small"] = "auto"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 1 where a check fails."""
    asked = tyro.cli(Accelerator, prog=PROG, args=arguments)
    failed: list[str] = []

    def work() -> None:
        result = measure(asked)
        print(page(result))
        failed.extend(check["name"] for check in result["checks"] if not check["passed"])

    status = exit_status(work, PROG, f"What was measured is in {asked.out}.")
    if status == 0 and failed:
        print(f"{PROG}: these differ from the CPU by more than rounding: {', '.join(failed)}.")
    return status or int(bool(failed))


def measure(asked: Accelerator, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Do all checks and measurements; one that fails is noted and spoils no other.

    Args:
        asked: What is wanted.
        say: A function that takes a line for each part, when it is done.

    Returns:
        The content of accelerator.json.
    """
    devices, began = jax.devices(), time.monotonic()
    platform = devices[0].platform
    extent = {"full": FULL, "small": SMALL, "auto": SMALL if platform == "cpu" else FULL}[asked.extent]
    asked.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = environment.session(devices) | {"versions": environment.versions("flax", "optax")}
    result |= {"extent": "small" if extent is SMALL else "full", "checks": [], "rates": [], "failures": []}
    say(f"{len(devices)} × {devices[0].device_kind} ({platform}): about {10 if extent is FULL else 4} minutes at most.")

    def write() -> None:
        write_json(asked.out / "accelerator.json", _plain(result))
        write_atomically(asked.out / "accelerator.md", page(result))

    def note(name: str, part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:
            result["failures"].append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:300]}")
            say(f"  failed: {result['failures'][-1]}")
        result["seconds"] = round(time.monotonic() - began, 1)
        write()

    side, count = (16, 4) if extent is SMALL else (32, 64)
    for number, check in enumerate(checks(devices, side, count), start=1):
        note(f"check {number}", partial(_add_check, result, check, say))
    note("ceilings", lambda: result.update(ceilings=ceilings(extent)._asdict()))
    limits = Ceilings(**result.get("ceilings", dict.fromkeys(Ceilings._fields, math.nan)))
    for number, rate in enumerate(rates(extent, limits, platform == "gpu"), start=1):
        note(f"measurement {number}", partial(_add_rate, result, rate, say))
    result["on_chip"] = _verdict(result)
    write()
    return result


def _add_check(result: dict[str, Any], measured: Callable[[], Check], say: Callable[[str], None]) -> None:
    check = measured()
    result["checks"].append(check._asdict() | {"passed": check.passed})
    say(f"  {'the same' if check.passed else 'DIFFERS'}: {check.name} ({check.difference:.1e})")


def _add_rate(result: dict[str, Any], measured: Callable[[], Rate], say: Callable[[str], None]) -> None:
    rate = measured()
    result["rates"].append(rate._asdict())
    say(f"  {rate.images_a_second:,.0f} images/s: {rate.name}")


def _verdict(result: dict[str, Any]) -> str:
    """Whether the on-chip program should be the default on this device."""
    speeds = {rate["name"]: rate["images_a_second"] for rate in result["rates"]}
    ratios = [speeds[name] / speeds[name.removesuffix(", on the chip")] for name in speeds if name.endswith("the chip")]
    if not ratios:
        return "The on-chip program was not timed: it is for NVIDIA GPUs."
    agrees = any(check["passed"] for check in result["checks"] if check["name"].endswith("on-chip program"))
    listed = " and ".join(f"{ratio:.2f}" for ratio in ratios)
    if agrees and min(ratios) >= _WORTH:
        return (
            f"The on-chip program is {listed} times as fast as XLA and agrees with it: SplitLBI(on_chip=None) takes it."
        )
    why = "does not agree with XLA" if not agrees else f"is {listed} times as fast as XLA"
    return f"The on-chip program {why}: it should stay off (SplitLBI(on_chip=False), the default)."


def page(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    machine = result["hardware"]
    lines = [
        f"# isvs_jax on {machine['device_count']} × {machine['device_kind']}",
        "",
        f"`{result['command']}`, commit {result['commit']}, {result['date']}, jax {result['versions']['jax']}, "
        f"{result.get('seconds', 0):.0f} s in all; extent {result['extent']}.",
        "",
        "## Is it what the CPU computes?",
        "",
        "| compared | difference | at most | |",
        "|---|---|---|---|",
        *(
            f"| {check['name']} | {check['difference']:.1e} | {check['allowed']:.1e} | "
            f"{'the same' if check['passed'] else '**differs**'}{'. ' + check['note'] if check['note'] else ''} |"
            for check in result["checks"]
        ),
        "",
        "## How fast?",
        "",
        *_ceiling_lines(result.get("ceilings")),
        "| what | images a second | first call | memory | arithmetic |",
        "|---|---|---|---|---|",
        *(
            f"| {rate['name']} | {rate['images_a_second']:,.0f} | {rate['first_call']:.1f} s | "
            f"{_percent(rate['memory_share'])} | {_percent(rate['arithmetic_share'])} |"
            for rate in result["rates"]
        ),
        "",
        result.get("on_chip", ""),
        *(
            ["", "## What failed", "", *(f"- {failure}" for failure in result["failures"])]
            if result["failures"]
            else []
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _ceiling_lines(limits: dict[str, float] | None) -> list[str]:
    if limits is None:
        return []
    return [
        f"Measured ceilings of one device: {limits['bytes_a_second'] / 1e9:,.0f} GB/s of memory, "
        f"{limits['operations_a_second'] / 1e12:,.2f} TFLOP/s in float32, "
        f"{limits['operations_a_second_bfloat16'] / 1e12:,.2f} in bfloat16. The last two columns are shares of the "
        "first two, by XLA's own count of a path's stages; caches can serve more than the memory does.",
        "",
    ]


def _percent(share: float | None) -> str:
    return "" if share is None or math.isnan(share) else f"{100 * share:.0f}%"


def _plain(value: Any) -> Any:
    """NaN as None, which JSON has."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
