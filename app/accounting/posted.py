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
    made = report(
        posted.readings,
        job_id=posted.job_id,
        spec=posted.training,
        status=posted.status,
        work=posted.training.facts(),
        intensity=price,
    )
    if made.environment is None or posted.training.framework is None:
        return made
    execution = {"framework": posted.training.framework, **made.environment.execution}
    environment = made.environment.model_copy(update={"execution": execution})
    return made.model_copy(update={"environment": environment})
