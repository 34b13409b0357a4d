"""The errors that LiteLLM names."""


class PrismaError(Exception):
    """All of them."""


class DataError(PrismaError):
    """The database refused."""


class UniqueViolationError(DataError):
    """Such a row is there already."""


class ForeignKeyViolationError(DataError):
    """It names a row that is not there."""


class MissingRequiredValueError(DataError):
    """A column lacks its value."""


class RawQueryError(DataError):
    """A query of LiteLLM's own failed."""


class TableNotFoundError(DataError):
    """There is no such table."""


class FieldNotFoundError(DataError):
    """There is no such column."""


class RecordNotFoundError(DataError):
    """There is no such row."""


class InputError(DataError):
    """A value makes no sense."""


class TransactionError(PrismaError):
    """A transaction failed."""


class ClientNotConnectedError(PrismaError):
    """Nobody called `connect`."""


class ClientNotRegisteredError(PrismaError):
    """Nobody registered a client."""


class HTTPClientClosedError(PrismaError):
    """The connection is closed."""
