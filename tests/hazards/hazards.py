"""What the service guards against: for each hazard an edit that takes the guard away, and the test
that must fail then.

`docs/hazards.md` has a row for each; `check.py` beside this file makes the edits in a copy.
"""

from hazard import Hazard
from of_a_busy_host import HAZARDS as OF_A_BUSY_HOST
from of_accounting import HAZARDS as OF_ACCOUNTING
from of_processes import HAZARDS as OF_PROCESSES
from of_reading_energy import HAZARDS as OF_READING_ENERGY
from of_storage import HAZARDS as OF_STORAGE
from of_users import HAZARDS as OF_USERS

HAZARDS: tuple[Hazard, ...] = (
    *OF_READING_ENERGY,
    *OF_A_BUSY_HOST,
    *OF_ACCOUNTING,
    *OF_STORAGE,
    *OF_PROCESSES,
    *OF_USERS,
)
