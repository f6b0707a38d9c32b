"""Charts as pure functions from counts to ECharts options; colours are the palette's, words those of `words`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dashboards.theme import Palette
from dashboards.words import WORDS, Standing, Tone

Option = dict[str, Any]
HEIGHT_PX: Final = 260
# Hatching beside colour: what would have been denied is told from what was denied without seeing colours.
HATCHED: Final = {"symbol": "rect", "dashArrayX": [1, 0], "dashArrayY": [2, 4], "rotation": -0.785, "color": "rgba(255,255,255,0.45)"}


def effects_over_time(labels: Sequence[str], counts: Mapping[Standing, Sequence[int]], *, palette: Palette) -> Option:
    """Stack decisions per bucket by how they stand; a standing that never occurs is left out."""
    present = [name for name in WORDS if any(counts.get(name, ()))]
    series = [
        _bars(WORDS[name].label, list(counts[name]), palette.tones[WORDS[name].tone], stack=True, hatched=WORDS[name].tone == "logged")
        for name in present
    ]
    return {**_frame(labels, palette), "legend": _legend([WORDS[name].label for name in present], palette), "series": series}


def counts_over_time(labels: Sequence[str], counts: Mapping[str, Sequence[int]], *, tones: Mapping[str, Tone], palette: Palette) -> Option:
    """Stack named counts per bucket, each in its tone."""
    present = [name for name in counts if any(counts[name])]
    series = [_bars(name, list(counts[name]), palette.tones[tones[name]], stack=True, hatched=tones[name] == "logged") for name in present]
    return {**_frame(labels, palette), "legend": _legend(present, palette), "series": series}


def alternative(text: str, labels: Sequence[str], counts: Mapping[Standing, Sequence[int]]) -> str:
    """Say in words what a chart over time shows, for who cannot see it."""
    totals = ", ".join(f"{sum(counts[name]):,} {WORDS[name].label}" for name in WORDS if any(counts.get(name, ())))
    span = f" from {labels[0]} to {labels[-1]}" if labels else ""
    return f"{text}{span}: {totals or 'nothing'}."


def _frame(labels: Sequence[str], palette: Palette) -> Option:
    return {
        "animationDuration": 250,
        "animationDurationUpdate": 250,
        "grid": {"left": 4, "right": 8, "top": 36, "bottom": 4, "containLabel": True},
        "tooltip": {
            "trigger": "axis",
            "axisPointer": {"type": "shadow", "shadowStyle": {"color": palette.quiet, "opacity": 0.12}},
            "valueFormatter": "%,d",
            "confine": True,
            "backgroundColor": palette.surface,
            "borderColor": palette.border,
            "textStyle": {"color": palette.text, "fontSize": 12},
        },
        "xAxis": {
            "type": "category",
            "data": list(labels),
            "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": palette.border}},
            "axisLabel": {"color": palette.quiet, "fontSize": 11, "hideOverlap": True, "alignMinLabel": "left", "alignMaxLabel": "right"},
        },
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "splitNumber": 4,
            "axisLabel": {"color": palette.quiet, "fontSize": 11},
            "splitLine": {"lineStyle": {"color": palette.grid}},
        },
    }


def _legend(names: Sequence[str], palette: Palette) -> Option:
    return {
        "data": list(names),
        "top": 0,
        "left": 0,
        "type": "scroll",
        "icon": "roundRect",
        "itemWidth": 12,
        "itemHeight": 12,
        "itemGap": 16,
        "textStyle": {"color": palette.text, "fontSize": 12},
    }


def _bars(name: str, values: list[int], colour: str, *, stack: bool, hatched: bool) -> Option:
    style: Option = {"color": colour}
    if hatched:
        style["decal"] = HATCHED
    return {
        "name": name,
        "type": "bar",
        "data": values,
        "barCategoryGap": "22%",
        "itemStyle": style,
        "emphasis": {"focus": "series"},
        **({"stack": "all"} if stack else {}),
    }
