"""What happened, as frozen values: the one language of logs, metrics, tests and reports.

An event holds no question and no answer: texts may be private. It names an entry by its id.
All durations are seconds; similarities are cosines in [-1, 1]. Named tuples, because one is made on
every hit.
"""

from __future__ import annotations

from accel_core.events.backends import (
    BackendFailed,
    SearchUnavailable,
    StoreSwept,
    WriteDropped,
)
from accel_core.events.caching import (
    CacheBypassed,
    CacheEvicted,
    CacheExplored,
    CacheHit,
    CacheInvalidated,
    CacheMiss,
    CacheRefused,
    CacheStored,
    CacheVerified,
    ControlIgnored,
    EmbeddingsServed,
    HitReported,
    LearnedIgnored,
    SemanticUnavailable,
    Tier,
)
from accel_core.events.limits import (
    HiddenLimitFound,
    LimitRefused,
    LimitRejected,
    LimitsAlone,
    LimitsShared,
    LimitWaited,
)
from accel_core.events.races import (
    PathOutcome,
    PathRun,
    PathsRaced,
)
from accel_core.events.requests import (
    Parts,
    RequestEnded,
    Tokens,
)
from accel_core.events.retrieval import (
    CorpusChanged,
    RetrievalHit,
    RetrievalMiss,
    RetrievalRefused,
    RetrievalSkipped,
    RetrievalStored,
)
from accel_core.events.tools import (
    PredictorFailed,
    SpeculationSuspended,
    ToolCallAudited,
    ToolCallBegun,
    ToolCallReused,
    ToolCallWasted,
    ToolsUnknown,
)

__all__ = [
    "BackendFailed",
    "CacheBypassed",
    "CacheEvicted",
    "CacheExplored",
    "CacheHit",
    "CacheInvalidated",
    "CacheMiss",
    "CacheRefused",
    "CacheStored",
    "CacheVerified",
    "ControlIgnored",
    "CorpusChanged",
    "EmbeddingsServed",
    "Event",
    "HiddenLimitFound",
    "HitReported",
    "LearnedIgnored",
    "LimitRefused",
    "LimitRejected",
    "LimitWaited",
    "LimitsAlone",
    "LimitsShared",
    "Parts",
    "PathOutcome",
    "PathRun",
    "PathsRaced",
    "PredictorFailed",
    "RequestEnded",
    "RetrievalHit",
    "RetrievalMiss",
    "RetrievalRefused",
    "RetrievalSkipped",
    "RetrievalStored",
    "SearchUnavailable",
    "SemanticUnavailable",
    "SpeculationSuspended",
    "StoreSwept",
    "Tier",
    "Tokens",
    "ToolCallAudited",
    "ToolCallBegun",
    "ToolCallReused",
    "ToolCallWasted",
    "ToolsUnknown",
    "WriteDropped",
]

Event = (
    CacheHit
    | CacheMiss
    | CacheExplored
    | CacheVerified
    | CacheBypassed
    | CacheStored
    | CacheRefused
    | CacheEvicted
    | CacheInvalidated
    | BackendFailed
    | EmbeddingsServed
    | HitReported
    | LearnedIgnored
    | RetrievalHit
    | RetrievalMiss
    | RetrievalStored
    | RetrievalRefused
    | CorpusChanged
    | LimitWaited
    | PathsRaced
    | LimitRefused
    | LimitRejected
    | LimitsAlone
    | LimitsShared
    | HiddenLimitFound
    | RetrievalSkipped
    | SearchUnavailable
    | SemanticUnavailable
    | StoreSwept
    | WriteDropped
    | ControlIgnored
    | ToolCallBegun
    | ToolCallReused
    | ToolCallWasted
    | ToolCallAudited
    | SpeculationSuspended
    | ToolsUnknown
    | PredictorFailed
    | RequestEnded
)
