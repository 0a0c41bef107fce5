"""What the reasons mean that hits, misses and bypasses are told with: one sentence each."""

from __future__ import annotations

from typing import Final

_MEANINGS: Final = {
    "exact": "the very same request was answered before",
    "calibrated": "another wording of it was answered, probably with the same answer",
    "threshold": "another wording of it was answered, near enough",
    "verified": "another wording of it was answered, and the verifier approved",
    "proven": "another wording of it was answered, as likely the same as outcomes have proven",
    "sampled": "it would be served, and is explored now and then",
    "renewing": "it is due: served once more, while it is made anew",
    "no_entry": "nothing like it is stored in its scope",
    "below_threshold": "the nearest stored question is too far away",
    "improbable": "the nearest stored question is near, and probably another one",
    "grey": "the nearest stored question needs a verifier's approval",
    "verifying": "a verifier is asked in the background, for the next time",
    "unverified": "the verifier was asked, and there was no verdict in time",
    "unproven": "outcomes have not proven yet that so likely a candidate is right",
    "demoted": "the stored answer was reported, or found, to be wrong",
    "hopeless": "so unlikely a candidate is not even explored",
    "explored": "the stored answer is compared with the model's own",
    "shadow": "in shadow mode nothing is served by meaning",
    "not_comparable": "it is served for the very same words only",
    "no_encoder": "there is no encoder, so answers are served exactly only",
    "uncalibrated": "the encoder has no calibration, so answers are served exactly only",
    "disabled": "it is switched off, or closed",
    "empty": "the encoder sees no word in it",
    "window": "it is longer than what the encoder sees",
    "unknown_tokens": "the encoder does not know some of its words",
    "script": "the encoder was not made for its script",
    "volatile": "its answer depends on the moment (never-cache rule)",
    "personal": "its answer depends on who asks (never-cache rule)",
    "acting": "it asks for something to be done (never-cache rule)",
    "backend": "a store, an index or the encoder failed, or rests",
    "declined": "the answer of who asked first may not be shared",
    "refresh": "the call asked for a fresh answer",
    "temperature": "its temperature asks for variety (cache.admission.max_temperature)",
    "no_cache": "the call asked to pass the cache by",
    "tenant_required": "tenants are required, and none was set",
    "several_answers": "it asked for several answers",
    "unidentifiable": "it holds something that has no stable meaning",
}
_PREFIXES: Final = {
    "gated:": "no documents are searched for such a message (retrieval.gate)",
    "gate:": "a gate refuses to take the nearest stored question for the same one",
    "verifier:": "the verifier refused the nearest stored answer",
}


def meaning_of(reason: str) -> str:
    """Return what `reason` means; ``""`` where it is not one of the vocabulary.

    >>> meaning_of("gate:number")
    'a gate refuses to take the nearest stored question for the same one'
    """
    for prefix, meaning in _PREFIXES.items():
        if reason.startswith(prefix):
            return meaning
    return _MEANINGS.get(reason, "")
