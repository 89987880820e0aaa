"""What has been spent so far, as it is added up from records: by period and subject. Pure."""

from __future__ import annotations

from msgspec import Struct, field

from rondo.limits.model import periods_of, spenders, user_of


class Spent(Struct, kw_only=True):
    """Sums of nano-dollars by (period, subject), of all calls that were recorded up to `read_at` (microseconds).

    Users are left out where nobody asks for them: there may be millions.
    """

    read_at: int
    users: bool
    nano: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, project: str, key_id: str, app: str | None, user: str | None, *, at: int, nano: int) -> None:
        """Count a call, or the sum of several of the same caller and day, one of which began at `at`."""
        if nano <= 0:
            return
        subjects = spenders(project, key_id, app)
        if self.users and (name := user_of(project, user)) is not None:
            subjects = (*subjects, name)
        for period in periods_of(at):
            for subject in subjects:
                self.nano[period, subject] = self.nano.get((period, subject), 0) + nano
