"""With what stored readings are evaluated again: what is not given stays as the report has it."""

from app.domain.quantities import Frozen


class Evaluation(Frozen):
    """A set of assumptions by name, and parts of the price; null: as in the stored report.

    A country without a region means the country; a region alone belongs to the stored country.
    """

    assumptions: str | None = None
    country_iso_code: str | None = None
    region: str | None = None
    intensity_g_per_kwh: float | None = None
    pue: float | None = None

    @property
    def asks(self) -> bool:
        """Whether anything is to be other than stored."""
        return any(value is not None for value in self.model_dump().values())

    @property
    def prices(self) -> bool:
        """Whether the price of a kilowatt-hour is to be another one; a PUE alone leaves it."""
        place = (self.country_iso_code, self.region, self.intensity_g_per_kwh)
        return any(value is not None for value in place)
