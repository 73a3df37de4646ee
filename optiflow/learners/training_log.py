"""The learning curve out of a training job's log, which every place that runs jobs keeps in XGBoost's own form."""

import re

_ROUND = re.compile(r"^(?:.*\s)?\[(\d+)\]((?:\s+\S+-\S+:[-+.\deinfa]+)+)\s*$")
_SCORE = re.compile(r"(\S+?)-(\S+):(\S+)")

Curve = dict[str, dict[str, list[float]]]


def learning_curve(log: str) -> Curve:
    """Scores per round: channel -> metric -> one value a round, from lines such as `[0]\\ttrain-rmse:1.5`."""
    curve: Curve = {}
    for line in log.splitlines():
        match = _ROUND.match(line)
        for channel, metric, value in _SCORE.findall(match[2]) if match else ():
            curve.setdefault(channel, {}).setdefault(metric, []).append(float(value))
    return curve


def best_round(curve: Curve) -> int | None:
    """The round (from 0) with the lowest last metric of the validation channel; None without one."""
    metrics = list(curve.get("validation", {}).values())
    return min(range(len(metrics[-1])), key=metrics[-1].__getitem__) if metrics else None
