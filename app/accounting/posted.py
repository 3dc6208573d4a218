"""The report of a training that ran outside of the service, from what it sent."""

from app.accounting.report import report
from app.domain.posted import PostedReport
from app.domain.quantities import CarbonIntensity
from app.domain.reports import EnergyReport


def account(posted: PostedReport, price: CarbonIntensity) -> EnergyReport:
    """The report, as the service and the training's own process make it alike.

    Args:
        posted: the facts, the readings and the end.
        price: of a kilowatt-hour.

    Raises:
        ValueError: there is not one reading.
    """
    return report(
        posted.readings,
        job_id=posted.job_id,
        spec=posted.training,
        status=posted.status,
        work=posted.training.facts(),
        intensity=price,
    )
