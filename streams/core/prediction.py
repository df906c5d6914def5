"""Does a service fail within the horizon, and which strategy is best for an error: predictions that learn online.

A service's vector is held back until the horizon has passed or the service has failed; only then is it an example. So
nothing is learnt from the future, and the calibration is of what was said before the outcome was known. Nothing is
predicted before enough of both outcomes was seen. All state is bounded and can be kept in a snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from streams.core.features import ERROR_FEATURES, SERVICE_FEATURES
from streams.core.learner import Calibration, Regression
from streams.core.num import logistic, stored

HELD_BACK_PER_SERVICE_MAX: Final = 32
HELD_BACK_MAX: Final = 8_192
RIPE_MAX: Final = 256
"""Examples that wait to be learnt. Beyond it calm ones count in the calibration only, warnings beyond twice it."""


class Foresight(Struct, frozen=True, kw_only=True):
    """How far ahead failures are predicted, how often a service's vector is kept, and when a prediction is valid."""

    horizon_ms: int = 30_000
    every_ms: int = 10_000
    positives_min: int = 10
    negatives_min: int = 30
    outcomes_min: int = 10
    """Verified outcomes of a strategy before it is predicted to be the best."""
    at_once: bool = True
    """An example is learnt as soon as its outcome is known. Off: when ``digest`` says so."""


class Prediction(Struct, frozen=True, kw_only=True):
    """What is expected; ``probability`` and ``confidence`` are 0..1, and 0 when it is not valid.

    Of a service: the probability that it fails within ``horizon_ms``, and as confidence the share of earlier
    predictions like this one that were right. Of an error: the probability that ``strategy`` succeeds, and as
    confidence what is left of it for the few outcomes that it rests on; ``horizon_ms`` is 0. ``leading`` is the
    feature that speaks most for it, "" when of a service none does; ``strategy`` is "" when there is none to recommend.
    """

    valid: bool
    probability: float
    confidence: float
    horizon_ms: int
    strategy: str
    leading: str


class HeldBack(Struct, array_like=True, frozen=True):
    """A vector whose outcome is not known yet, and the log-odds that were said then."""

    at_ms: int
    log_odds: float
    vector: tuple[float, ...]


class Ripe(Struct, array_like=True, frozen=True):
    """A vector whose outcome is known."""

    vector: tuple[float, ...]
    failed: bool


class FailurePredictor(Struct):
    """One learner for all services; ``waiting`` are vectors held back, by service, the oldest first.

    ``ripe`` are those whose outcome is known, and that are not learnt yet.
    """

    regression: Regression = field(default_factory=lambda: Regression(len(SERVICE_FEATURES)))
    calibration: Calibration = field(default_factory=Calibration)
    waiting: dict[str, list[HeldBack]] = {}
    waiting_count: int = 0
    ripe: list[Ripe] = []

    def valid(self, foresight: Foresight) -> bool:
        """Tell whether enough failures and enough of their absence were seen."""
        seen = self.regression
        return seen.positives >= foresight.positives_min and seen.negatives >= foresight.negatives_min

    def predict(
        self,
        vector: Sequence[float],
        foresight: Foresight,
        relief: Mapping[str, str],
        names: Sequence[str] = SERVICE_FEATURES,
    ) -> Prediction:
        """Return what is expected of a service with this vector; changes nothing.

        ``relief`` is the strategy that relieves a metric: that of the metric that speaks most for a failure is
        recommended, and none when it is no metric that does.
        """
        if not self.valid(foresight):
            return _unknown(foresight.horizon_ms)
        shares = self.regression.shares(vector)
        log_odds = self.regression.sum(shares)
        probability = self.calibration.probability(log_odds)
        most = max(range(len(shares)), key=shares.__getitem__)
        leading = names[most] if shares[most] > 0.0 else ""
        return Prediction(
            valid=True,
            probability=stored(probability),
            confidence=stored(self.calibration.confidence(log_odds)),
            horizon_ms=foresight.horizon_ms,
            strategy=relief.get(leading.partition(".")[0], ""),
            leading=leading,
        )

    def watch(self, service: str, at_ms: int, vector: tuple[float, ...], foresight: Foresight) -> None:
        """Hold a vector back until its outcome is known; of a service that works, at most one every ``every_ms``.

        While as many are held back as may be, it is dropped: a vector that waits is not thrown away for a newer one,
        since the oldest are those whose outcome is known first.
        """
        held = self.waiting.get(service, [])
        if held and at_ms < held[-1].at_ms + foresight.every_ms:
            return
        if len(held) >= HELD_BACK_PER_SERVICE_MAX or self.waiting_count >= HELD_BACK_MAX:
            return
        self.waiting.setdefault(service, held).append(HeldBack(at_ms, self.regression.log_odds(vector), vector))
        self.waiting_count += 1

    def pass_to(self, service: str, at_ms: int, foresight: Foresight) -> None:
        """Learn that a service has not failed up to ``at_ms``: vectors older than the horizon were no warning."""
        held = self.waiting.get(service, [])
        while held and held[0].at_ms + foresight.horizon_ms < at_ms:
            self._ripen(held.pop(0), foresight, failed=False)
        if not held:
            self.waiting.pop(service, None)

    def failed(self, service: str, at_ms: int, foresight: Foresight) -> None:
        """Learn that a service failed at ``at_ms``: what was held back from within the horizon was a warning."""
        self.pass_to(service, at_ms, foresight)
        for one in self.waiting.pop(service, []):
            if one.at_ms <= at_ms:
                self._ripen(one, foresight, failed=True)
            else:
                self.waiting_count -= 1

    def forget(self, service: str) -> None:
        """Drop what is held back of a service whose outcome won't be known."""
        self.waiting_count -= len(self.waiting.pop(service, []))

    def digest(self, count: int) -> None:
        """Learn so many of the examples whose outcome is known, in the order in which it became known."""
        for one in self.ripe[:count]:
            self.regression.learn(one.vector, true=one.failed)
        del self.ripe[:count]

    def _ripen(self, one: HeldBack, foresight: Foresight, *, failed: bool) -> None:
        self.waiting_count -= 1
        self.calibration.learn(one.log_odds, true=failed)
        if len(self.ripe) < (2 * RIPE_MAX if failed else RIPE_MAX):
            self.ripe.append(Ripe(one.vector, failed))
        if foresight.at_once:
            self.digest(len(self.ripe))


class StrategyPredictor(Struct):
    """Which strategy succeeds for an error: a regression for each on what its verified outcomes were."""

    strategies: dict[str, Regression] = {}

    def learn(self, strategy: str, vector: tuple[float, ...], *, success: bool) -> None:
        """Learn a verified outcome of a strategy for an error of this vector (``ERROR_FEATURES``)."""
        known = self.strategies.get(strategy)
        if known is None:
            known = Regression(len(ERROR_FEATURES), bias=0.0)
            self.strategies[strategy] = known
        known.learn(vector, true=success)

    def predict(self, vector: Sequence[float], allowed: Sequence[str], foresight: Foresight) -> Prediction:
        """Return the allowed strategy with the highest confidence; not valid while none has enough outcomes.

        Confidence is the probability times n / (n + 2) with n outcomes, the mean under two failures more.
        """
        best = _unknown(0)
        for strategy in allowed:
            known = self.strategies.get(strategy)
            if known is None or known.examples < foresight.outcomes_min:
                continue
            shares = known.shares(vector)
            probability = logistic(known.sum(shares))
            confidence = stored(probability * known.examples / (known.examples + 2))
            if not best.valid or confidence > best.confidence:
                leading = ERROR_FEATURES[max(range(len(shares)), key=shares.__getitem__)]
                best = Prediction(
                    valid=True,
                    probability=stored(probability),
                    confidence=confidence,
                    horizon_ms=0,
                    strategy=strategy,
                    leading=leading,
                )
        return best


def _unknown(horizon_ms: int) -> Prediction:
    return Prediction(valid=False, probability=0.0, confidence=0.0, horizon_ms=horizon_ms, strategy="", leading="")
