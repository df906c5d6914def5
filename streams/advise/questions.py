"""The six questions that the decision service answers (SPEC H1), and its answer, as they are on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

VALUES_MAX = 1_440
"""Minutes of a day."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Severity = Literal["info", "warning", "error", "critical", "fatal"]
Category = Literal[
    "",
    "network",
    "database",
    "security",
    "memory",
    "disk",
    "process",
    "configuration",
    "dependency",
    "service",
    "container",
    "performance",
    "resource",
]
ServiceType = Literal["process", "systemd", "docker", "hybrid", "kubernetes", "http"]


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    deadline_ms: int = Field(
        default=10_000, ge=50, le=60_000, description="when an answer is due; the rules then give it"
    )


class AnomalyAnalysis(_Question):
    """Is the newest value of a series abnormal? Answered by ``ignore``, ``watch`` or ``act``."""

    decision: Literal["anomaly_analysis"]
    metric: Id
    values: list[Number] = Field(
        min_length=2, max_length=VALUES_MAX, description="oldest first, the one in question last"
    )
    interval_s: float = Field(default=60.0, ge=1, le=86_400, description="seconds from one value to the next")


class RecoverySelection(_Question):
    """Which action is best against a pattern? Answered by the id of one of the catalogue, or ``escalate``."""

    decision: Literal["recovery_selection"]
    pattern: Id
    category: Category = Field(default="", description="empty: that of the pattern")
    severity: Severity = "error"
    service_type: ServiceType = "process"
    declared: list[Annotated[str, Field(pattern=r"^[a-z_]+(:[a-z_]+)?$", max_length=64)]] = Field(
        default=[],
        max_length=32,
        description="parts of the inventory that the service has: a field as config_files, switch:KIND, tool:NAME",
    )
    failed: dict[Id, Annotated[int, Field(ge=0, le=100)]] = Field(
        default={}, max_length=32, description="how often each action failed in this incident already"
    )
    findings: dict[Id, Number] = Field(default={}, max_length=32, description="what was measured, by code")
    dependents: Count = 0
    neighbours: Count = Field(default=0, description="services on the same host")
    down: bool = Field(default=False, description="the service is down already")


class AgentSelection(_Question):
    """Which specialist leads, and who supports it? Answered by the name of the one that leads."""

    decision: Literal["agent_selection"]
    pattern: Id
    category: Category = Field(default="", description="empty: that of the pattern")
    severity: Severity = "error"
    failed_attempts: Count = 0


class RiskAssessment(_Question):
    """May an action be done without asking? Answered by ``auto``, or ``approve``: a person is to be asked."""

    decision: Literal["risk_assessment"]
    action: Id
    dependents: Count = 0
    neighbours: Count = Field(default=0, description="services on the same host")
    down: bool = False


class ImpactEstimation(_Question):
    """How much is an incident felt? Answered by ``low``, ``medium``, ``high`` or ``critical``."""

    decision: Literal["impact_estimation"]
    severity: Severity
    users: Share = Field(default=0.0, description="share of what users see that is concerned")
    business: Share = Field(default=0.0, description="share of the owners that are concerned")
    technology: Share = Field(description="share of all services that are concerned")
    dependents: Count = 0


class ResourcePlanning(_Question):
    """What capacity does a metric need? Answered by ``scale_up``, ``hold`` or ``scale_down``."""

    decision: Literal["resource_planning"]
    metric: Id
    values: list[Number] = Field(min_length=1, max_length=VALUES_MAX, description="one a minute, the newest last")
    limit: float = Field(gt=0, le=1e15, description="all of today's units together hold so much")
    units: int = Field(default=1, ge=1, le=10_000, description="how many units there are today")
    ahead_minutes: int = Field(default=15, ge=1, le=30)


Question = Annotated[
    AnomalyAnalysis | RecoverySelection | AgentSelection | RiskAssessment | ImpactEstimation | ResourcePlanning,
    Field(discriminator="decision"),
]


class Alternative(BaseModel):
    """Something else that could be recommended, and how likely it is to be right."""

    recommendation: str
    confidence: Share


class Decided(BaseModel):
    """An answer. ``source``: model, rules, or cache (answered within the last five minutes)."""

    decision: str
    recommendation: str = Field(description="one of the ids that the question's description names")
    confidence: Share
    reason: str
    source: Literal["model", "rules", "cache"]
    alternatives: list[Alternative] = []
    support: list[str] = Field(default=[], description="of agent_selection: who supports the specialist")
    figures: dict[str, float] = Field(default={}, description="what the recommendation rests on, by name")


class Health(BaseModel):
    """How the service stands; ``model_available`` is false while its provider is left alone, and with rules only."""

    status: Literal["healthy"] = "healthy"
    provider: str
    model: str
    model_available: bool
