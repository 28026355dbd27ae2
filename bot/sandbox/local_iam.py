"""What the local AWS asks before it answers: whether the caller may do this.

Nothing is refused until somebody says who may do what: `EksStandIn.permit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moto.iam.models import get_account_id_from
from moto.sts.models import sts_backends


@dataclass(frozen=True, slots=True)
class Asked:
    """An action on a resource, and who asks for it.

    `caller` is the ARN of the role whose session asks and `user_id` its `aws:userid`; "" where the
    keys belong to no session. `session_name` is what AssumeRole is to call the new session.
    """

    action: str
    resource: str
    caller: str
    user_id: str
    session_name: str = ""


Permit = Callable[[Asked], bool]


def asked_by(
    access_key: str, partition: str, action: str, resource: str, session_name: str = ""
) -> Asked:
    """The action as asked for by whoever holds this access key."""
    backend = sts_backends[get_account_id_from(access_key)][partition]
    session = backend.get_assumed_role_from_access_key(access_key)
    if session is None:
        return Asked(action, resource, "", "", session_name)
    return Asked(action, resource, str(session.role_arn), str(session.user_id), session_name)
