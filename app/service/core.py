"""What the parts of the service share: the store and the settings."""

from typing import TYPE_CHECKING

from app import reference
from app.domain.quantities import CarbonIntensity
from app.domain.specs import JobSpec
from app.settings import Settings

if TYPE_CHECKING:
    from app.storage.store import Store


class Core:
    """One store, served with these settings."""

    def __init__(self, store: "Store", settings: Settings) -> None:
        """Serve what this store holds."""
        self._store = store
        self._settings = settings

    def _intensity(self, spec: JobSpec) -> CarbonIntensity:
        return reference.intensity(
            spec.carbon,
            default_country=self._settings.country_iso_code,
            default_region=self._settings.region,
        )
