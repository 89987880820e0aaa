"""From the `model` that a client names to what will answer: an app's release, or a model.

A name is looked up as an app, then as a named model, then as `provider/model`.
"""

from __future__ import annotations

from rondo.errors import NotFound, Unavailable
from rondo.gateway.assign import assign
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.governance.admit import may_call
from rondo.governance.model import Grant


def choose(plan: Plan, grant: Grant, name: str, unit: str) -> ServedRelease | ServedModel:
    """What answers `name` for `unit` (a user, a session or a trace). Raises NotFound, Forbidden."""
    app = plan.apps.get((grant.project, name))
    if app is not None:
        may_call(grant, name)
        return release_for(app, unit)
    if (grant.project, name) in plan.faults:
        raise Unavailable(
            f"The app {name!r} cannot be served: {plan.faults[grant.project, name]}", remedy="`rondo doctor` says more."
        )
    may_call(grant, None)
    model = plan.models.get((grant.project, name))
    if model is None:
        provider, slash, model_id = name.partition("/")
        model = plan.direct(provider, model_id) if slash and model_id else None
    if model is None:
        raise NotFound(
            f"There is no app or model called {name!r}.",
            remedy="GET /v1/models lists what this key may call; provider/model names any other.",
            param="model",
        )
    return model


def release_for(app: ServedApp, unit: str) -> ServedRelease:
    """The release that `unit` gets."""
    if not app.arms:
        return app.stable
    arm = assign(app.salt, unit, (share for _, share in app.arms))
    return app.stable if arm is None else app.arms[arm][0]
