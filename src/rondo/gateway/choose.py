"""From the `model` that a client names to what will answer: an app's release, or a model, or several in order.

A name is looked up as an app, then as a named model, then as `provider/model`. Further models, in OpenRouter's field
`models`, are tried after it; an app's release has a route of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from rondo.errors import InvalidRequest, NotFound, Unavailable
from rondo.gateway.assign import assign
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.gateway.request import ClientRequest
from rondo.governance.admit import may_call
from rondo.governance.model import Grant


def choose_route(
    plan: Plan, grant: Grant, request: ClientRequest, others: Sequence[str], trace_id: str
) -> ServedRelease | tuple[ServedModel, ...]:
    """A release, or the models to try in order: the request's, then `others`.

    Raises as `choose` does, and InvalidRequest.
    """
    chosen = choose(plan, grant, request, trace_id)
    name = request.model
    if isinstance(chosen, ServedRelease):
        if others:
            raise InvalidRequest(
                f"`models` cannot be used with the app {name!r}: its release says which models are tried.",
                remedy="Leave `models` out, or name a model in `model`.",
                param="models",
            )
        return chosen
    if not others:
        return (chosen,)
    further = (other for other in dict.fromkeys(others) if other != name)
    return (chosen, *(_model(plan, grant, other, param="models") for other in further))


def choose(plan: Plan, grant: Grant, request: ClientRequest, trace_id: str) -> ServedRelease | ServedModel:
    """What answers a request for its user, its session, or this trace alone. Raises NotFound, Forbidden."""
    name = request.model
    app = plan.apps.get((grant.project, name))
    if app is not None:
        may_call(grant, name)
        return release_for(app, request.user, request.session, trace_id)
    if (grant.project, name) in plan.faults:
        raise Unavailable(
            f"The app {name!r} cannot be served: {plan.faults[grant.project, name]}", remedy="`rondo doctor` says more."
        )
    return _model(plan, grant, name, param="model")


def release_for(app: ServedApp, user: str | None, session: str | None, trace_id: str) -> ServedRelease:
    """The release that a caller gets. A split is sticky to the user, else the session, else to nothing; or the session
    comes first, where the app's rollout says so."""
    if not app.arms:
        return app.stable
    unit = (session or user or trace_id) if app.sticky_session else (user or session or trace_id)
    arm = assign(app.salt, unit, (share for _, share in app.arms))
    return app.stable if arm is None else app.arms[arm][0]


def _model(plan: Plan, grant: Grant, name: str, *, param: str) -> ServedModel:
    if param == "models" and (grant.project, name) in plan.apps:
        raise InvalidRequest(
            f"{name!r} is an app.", remedy="`models` takes models; an app can be asked by `model`.", param=param
        )
    may_call(grant, None)
    model = plan.models.get((grant.project, name))
    if model is None:
        provider, slash, model_id = name.partition("/")
        model = plan.direct(provider, model_id) if slash and model_id else None
    if model is None:
        raise NotFound(
            f"There is no {'app or model' if param == 'model' else 'model'} called {name!r}.",
            remedy="GET /v1/models lists what this key may call; provider/model names any other.",
            param=param,
        )
    return model
