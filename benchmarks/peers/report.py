"""From the JSON of pytest-benchmark to results as JSON, a section of Markdown, and a picture of the growth.

    python -m benchmarks.peers.report --from results/bench/rounds.json --out results/bench
    python -m benchmarks.peers.report --from results/bench/rounds.json --out results/bench --docs docs/notes/peers.md

With --docs the section goes into that page, in place of the one that is there or at its end, and the picture to images/
beside it.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers import growth
from isvs_jax._files import write_atomically

BEGIN, END = "<!-- begin: benchmarks/peers/report.py -->", "<!-- end: benchmarks/peers/report.py -->"
TITLES = {
    "cifar-128": "128 images of 32×32×3",
    "cifar-1": "One image of 32×32×3",
    "imagenet-1": "One image of 224×224×3",
    "imagenet-128": "128 images of 224×224×3",
    "photograph-1": "One photograph of 1024×1024×3",
}
TEXTBOOKS_IN_JAX = ("textbook, JAX (isvs_jax)", "textbook, JAX (plain)")
INTRODUCTION = """\
All of one run, on CPU cores, at equal time t = 4, ν = 0.1, κ = 5, channels coupled. Times are milliseconds an image,
the fastest round and in brackets the median, without the first call, which compiles and is given apart. The rounds are
taken in two turns through all peers, or in one where the command says so. "× ours"
is the fastest time over that of `SplitLBI()`.

Errors are percent of the energy of x − mean, mean and in brackets the largest of up to 32 images. "to the flow": to the
reduced flow by Euler steps 16 times smaller, in float64. The textbook scheme lets u descend at the rate κ instead of
solving for it, and so follows a flow of its own: fewer or more steps do not bring it nearer to the reduced flow. Its
error to its own flow (16 times smaller steps) is given with the steps. The textbook takes the fewest steps that are
stable for every image; its default step is half as long. The total variation solvers solve another problem and give one
image, no path; their error is that to their own limit of many iterations: at its defaults `denoise_tv_chambolle` stops
far from it, so "longer" takes as many iterations as it needs to be as near to its limit as `SplitLBI()` is to the flow.

"timed in part": so many of the steps were run, and the time divided by their share."""


class Measured(NamedTuple):
    """A peer in a case: milliseconds an image, and everything else that was noted."""

    fastest: float
    median: float
    info: dict[str, Any]


class Aim(NamedTuple):
    """What is to be shown: the figure, what it may be, and whether it is; None where nothing was measured."""

    what: str
    aim: str
    figure: str
    held: bool | None


Table = dict[str, dict[str, Measured]]


def table_of(benchmarks: list[dict[str, Any]]) -> Table:
    """By case and peer, both turns together."""
    rounds: dict[tuple[str, str], list[float]] = {}
    infos: dict[tuple[str, str], dict[str, Any]] = {}
    for benchmark in benchmarks:
        info = benchmark["extra_info"]
        if "peer" in info:
            key = info["case"], info["peer"]
            rounds.setdefault(key, []).extend(1e3 * s / info["share"] / info["images"] for s in info["seconds"])
            infos[key] = infos.get(key, {}) | {name: value for name, value in info.items() if name != "seconds"}
    table: Table = {case: {} for case in TITLES}
    for (case, peer), values in rounds.items():
        table[case][peer] = Measured(min(values), statistics.median(values), infos[case, peer] | {"rounds": values})
    return {case: peers for case, peers in table.items() if peers}


def markdown_of(case: str, peers: dict[str, Measured]) -> str:
    """The table of a case."""
    ours = peers.get("isvs_jax")
    lines = [
        f"### {TITLES[case]}\n",
        "| | ms an image | × ours | error % | work for an image | first call, s |",
        "|---|---|---|---|---|---|",
    ]
    for name, measured in peers.items():
        info = measured.info
        ratio = f"{measured.fastest / ours.fastest:.3g}" if ours else "–"
        work = "; ".join(filter(None, [info["steps"], _parts(info), info["note"]]))
        first = f"{info['first_seconds']:.1f}" if "first_seconds" in info else "–"
        time = f"{measured.fastest:.3g} ({measured.median:.3g})"
        lines.append(f"| {name} | {time} | {ratio} | {_error(info)} | {work} | {first} |")
    return "\n".join(lines)


def _error(info: dict[str, Any]) -> str:
    shown = "limit" if info["kind"] == "other" else "flow"
    return f"{info[f'{shown}_mean']:.2f} ({info[f'{shown}_max']:.2f})" if f"{shown}_mean" in info else "–"


def _parts(info: dict[str, Any]) -> str:
    parts = [f"error to its own flow {info['own_mean']:.2f}"] if "own_mean" in info else []
    if info["share"] < 1:
        parts.append(f"timed in part, {info['share']:.1%}")
    if info["images"] != {"cifar-128": 128, "imagenet-128": 128}.get(info["case"], 1):
        parts.append(f"timed on {info['images']} images")
    return "; ".join(parts)


def growth_of(benchmarks: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """(amount, fastest seconds) by axis."""
    points: dict[str, list[tuple[float, float]]] = {}
    for benchmark in benchmarks:
        info = benchmark["extra_info"]
        if "growth" in info:
            points.setdefault(info["growth"], []).append((info["amount"], benchmark["stats"]["min"]))
    return points


def memory_of(benchmarks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By output, in multiples of the batch."""
    return {info["memory"]: info for benchmark in benchmarks if "memory" in (info := benchmark["extra_info"])}


def aims_of(table: Table, fits: dict[str, growth.Exponent], memory: dict[str, dict[str, Any]]) -> list[Aim]:
    """What the run is to show, with losses."""
    small = table.get("cifar-128", {})
    textbooks = [small[name].fastest for name in TEXTBOOKS_IN_JAX if name in small]
    jax_textbook = min(textbooks, default=None)
    default = _fastest(small, "textbook, JAX (isvs_jax), default step")
    numpy_textbook, chambolle = (_fastest(small, name) for name in ("textbook, NumPy", "denoise_tv_chambolle"))
    aims = []
    for ours in ("isvs_jax", "isvs_jax, tolerance 0.006"):
        mine = _fastest(small, ours)
        aims.append(_at_least(f"textbook in JAX, fewest stable steps, over {ours}", 12, jax_textbook, mine))
        aims.append(_at_least(f"textbook in JAX, default step, over {ours}", 12, default, mine))
        aims.append(_at_least(f"textbook in NumPy, fewest stable steps, over {ours}", 100, numpy_textbook, mine))
    for name in small:
        if small[name].info["kind"] == "path":
            aims.append(
                _at_least(f"`denoise_tv_chambolle` at its defaults over {name}", 1, chambolle, small[name].fastest)
            )
    photograph = table.get("photograph-1", {})
    for ours in ("isvs_jax", "isvs_jax, in one piece"):
        what = f"{ours} over `denoise_tv_chambolle` at its defaults, a photograph of 1024×1024×3"
        aims.append(_at_most(what, 2.5, _fastest(photograph, ours), _fastest(photograph, "denoise_tv_chambolle")))
    for axis in ("batch", "t", "pixels × log pixels"):
        fit = fits.get(axis)
        aims.append(
            Aim(f"exponent of the cost in {axis}", "1 at most", str(fit) if fit else "–", fit and fit.high <= 1)
        )
    for name, info in memory.items():
        peak = info["argument"] + info["output"] + info["temp"]
        size = "×".join(map(str, info["shape"]))
        what = f"peak memory over the batch, {name}, {size}, t = {info['t']:g} (input, output and all between)"
        aims.append(Aim(what, "below 12", f"{peak:.2f}", peak < 12))
    return aims


def _fastest(peers: dict[str, Measured], name: str) -> float | None:
    return peers[name].fastest if name in peers else None


def _at_least(what: str, aim: float, peer: float | None, ours: float | None) -> Aim:
    if peer is None or ours is None:
        return Aim(what, f"{aim:g} or more", "–", None)
    return Aim(what, f"{aim:g} or more", f"{peer / ours:.3g}", peer / ours >= aim)


def _at_most(what: str, aim: float, ours: float | None, peer: float | None) -> Aim:
    if peer is None or ours is None:
        return Aim(what, f"{aim:g} or less", "–", None)
    return Aim(what, f"{aim:g} or less", f"{ours / peer:.3g}", ours / peer <= aim)


def section(
    session: dict[str, Any], table: Table, fits: dict[str, growth.Exponent], aims: list[Aim], picture: str
) -> str:
    """The section for the page."""
    held = {True: "yes", False: "no", None: "not measured"}
    lines = ["## Beside its peers\n", INTRODUCTION + "\n"]
    lines += ["### In short\n", "128 images of 32×32×3 where nothing else is said.\n"]
    lines += ["| | wanted | measured | held |", "|---|---|---|---|"]
    lines += [f"| {aim.what} | {aim.aim} | {aim.figure} | {held[aim.held]} |" for aim in aims]
    lines += ["", *(markdown_of(case, peers) + "\n" for case, peers in table.items())]
    if fits:
        lines += [
            "### Growth\n",
            "Exponents of the cost of `smooth` by regression of logarithms, in brackets the interval of 95%: "
            + "; ".join(f"{axis} {fit}" for axis, fit in fits.items())
            + ". The pixels grow from 64×64 to 1024×1024 (one image, t = 2), the batch from 8 to 256 (32×32×3, t = 4), "
            "t from 2 to 32 (32 images of 32×32×3).\n",
            f"![Seconds against pixels, batch and time]({picture})\n",
        ]
    hardware, versions = session["hardware"], session["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if version != "not installed")
    load = f"load {session['load']:.1f} at the start, {session.get('load_at_the_end', float('nan')):.1f} at the end"
    lines.append(
        f"`{session['command']}`, then `python -m benchmarks.peers.report`; images: {session['data']}; "
        f"{hardware['processor']}, {hardware['cores']} cores, {load}; {packages}; commit {session['commit']}; "
        f"{session['date']}."
    )
    return "\n".join(lines)


def insert(page: Path, text: str) -> None:
    """Put the section into a page, in place of the one that is there, else at the end."""
    old = page.read_text(encoding="utf-8")
    block = f"{BEGIN}\n\n{text}\n\n{END}\n"
    if BEGIN in old:
        before, rest = old.split(BEGIN, 1)
        new = before + block + rest.split(END, 1)[1].removeprefix("\n")
    else:
        new = f"{old.rstrip()}\n\n{block}"
    write_atomically(page, new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="JSON of pytest-benchmark")
    parser.add_argument("--out", type=Path, required=True, help="folder of results.json, section.md and growth.png")
    parser.add_argument("--docs", type=Path, help="page that the section is put into")
    arguments = parser.parse_args()
    measured = json.loads(arguments.source.read_text())
    benchmarks, session = measured["benchmarks"], measured["machine_info"]["session"]
    table, points, memory = table_of(benchmarks), growth_of(benchmarks), memory_of(benchmarks)
    fits = growth.exponents(points)
    aims = aims_of(table, fits, memory)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {
        "session": session,
        "aims": [aim._asdict() for aim in aims],
        "cases": {
            case: {
                peer: {"ms_an_image": m.fastest, "median_ms_an_image": m.median} | m.info for peer, m in peers.items()
            }
            for case, peers in table.items()
        },
        "growth": {"points": points, "exponents": {axis: fit._asdict() for axis, fit in fits.items()}},
        "memory": memory,
    }
    write_atomically(arguments.out / "results.json", json.dumps(results, indent=1))
    text = section(session, table, fits, aims, "growth.png")
    write_atomically(arguments.out / "section.md", text + "\n")
    if fits:
        growth.plot(points, fits, arguments.out / "growth.png")
    if arguments.docs is not None:
        insert(arguments.docs, section(session, table, fits, aims, "images/performance_growth.png"))
        if fits:
            growth.plot(points, fits, arguments.docs.parent / "images" / "performance_growth.png")
    print(text)


if __name__ == "__main__":
    main()
