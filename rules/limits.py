"""Every limit of the service's language and state, with its unit and why it stands. Errors quote these."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

# Events (contract §1)
EVENT_ID_CHARS_MAX = 128
CUSTOMER_ID_CHARS_MAX = 128
BY_CHARS_MAX = 64  # the name of whoever changed a membership by hand
EVENT_BYTES_MAX = 256 * 1024
EVENT_TYPE_CHARS_MAX = 64  # [a-z][a-z0-9_]{0,63}
EVENT_DEPTH_MAX = 64  # objects and lists inside one another; deeper is a mistake or an attack, and cannot be stored
EVENT_FUTURE_MS_MAX = 5 * 60_000  # ahead of the clock; it then waits until its own time
EVENT_AGE_MS_MAX = 3653 * DAY_MS  # default of the archive's retention: ten years
AMOUNT_MAX = 10**12  # |value|; what is larger is left out of sums like a value of the wrong type

# Remembering ids (contract §1)
DEDUP_MS = 72 * HOUR_MS  # of log time, exclusive
DEDUP_IDS_MAX = 512  # a customer's newest in the log

# Aggregates (contract §2, Caps): what is older is kept as sums per UTC day, and says `approximate`
SERIES_ENTRIES_MAX = 4096
DISTINCT_VALUES_MAX = 1000

# Documents (contract §2, Documents)
DOCUMENT_DEPTH_MAX = 10
DOCUMENT_NODES_MAX = 200
DOCUMENT_BYTES_MAX = 1024 * 1024
LIST_VALUES_MAX = 10_000
DOCUMENT_NESTING_MAX = 100  # brackets in brackets of any YAML or JSON text; ten conditions nest at most a third of that
DOCUMENT_VALUES_MAX = 500_000  # with aliases written out: "billions of laughs" end here
NAME_CHARS_MAX = 256
ABOUT_CHARS_MAX = 10_000
PATH_CHARS_MAX = 256  # of a property, an attribute, a tag
DURATION_YEARS_MAX = 100  # longer than anybody's history; keeps instants inside the calendar
INTEGER_MAX = 2**63 - 1  # what JSON readers agree on; larger ids are written as text
PATTERN_CHARS_MAX = 1024
SEGMENTS_MAX = 1000  # configurable
SEGMENT_ID_CHARS_MAX = 64
MISTAKES_TOLD_MAX = 100  # of one document; the rest is counted

# Actions (contract §6)
ACTIONS_MAX = 50  # of one segment: each follows the feed on its own
ACTION_CALLS_PER_CUSTOMER_MAX = 1000  # of `limit`: so many instants are remembered of a customer
ACTION_LIMIT_DAYS_MAX = 366  # of `limit`: so long they are
ACTION_RATE_MAX = 10_000  # calls a second; more than one process makes
ACTION_EVERY_MS_MIN = 15 * 60_000  # between two runs over all members
HOPS_MAX = 8  # actions that set one another off through the log; the ninth is a ring

# Judging
LATE_TOLD_MS_MIN = 60_000  # an event so far behind the clock is counted as late; live ones are, by milliseconds
FORECAST_STEPS_MAX = 64  # contract §3: `leaves_at`/`enters_at` are absent where so many steps did not tell
WHY_LEAVES_MAX = 20
