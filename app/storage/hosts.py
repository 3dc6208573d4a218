"""Measuring hosts as their workers announce them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.domain.hosts import Host
from app.storage.database import Database
from app.storage.rows import utc
from app.storage.tables import hosts


class HostRecords(Database):
    """The hosts; `last_seen` is the database's clock."""

    async def beat(self, host: Host) -> None:
        """Announce a host, or say again that it lives."""
        news = {
            "body": host.model_dump_json(),
            "current_job": host.current_job,
            "last_seen": sa.func.now(),
        }
        async with self.transaction() as connection:
            await connection.execute(
                insert(hosts)
                .values(name=host.name, **news)
                .on_conflict_do_update(index_elements=["name"], set_=news)
            )

    async def hosts(self) -> tuple[Host, ...]:
        """Every host that was ever seen, by name."""
        async with self.transaction() as connection:
            rows = (await connection.execute(sa.select(hosts).order_by(hosts.c.name))).all()
        return tuple(
            Host.model_validate_json(row.body).model_copy(update={"last_seen": utc(row.last_seen)})
            for row in rows
        )
