"""A ledger in a bucket: what a put said it took is durable, and an entry of the log is taken by a conditional put (`If-None-Match: *`).

The client (object_store, by `obstore`) reads credentials and endpoint from the environment under their usual names: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, AWS_ALLOW_HTTP and more. It tries again by itself for a short time.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from controlzero.errors import Tampered, Unavailable
from warehouse.cached_files import CachedFiles
from warehouse.stores import LOG, STAGING, Bucket, Listed, checkpointed

AT_ONCE = 16  # requests: of a landing's files, of the entries since a checkpoint
SILENT_S_MAX = 30.0  # an answer takes some ten milliseconds
REQUEST_S_MAX = 600.0  # to fetch a large file, a million rows
CONNECT_S_MAX = 5.0
RETRIES_MAX, RETRIED_S_MAX = 3, 10.0  # then whoever asked is told, and waits
PAGE = 1_000  # names in an answer
RETRY_AFTER_S = 2.0
RACES_MAX = 3
PROBE = "_probe"
CHECKPOINT = ".checkpoint.parquet"


class ObjectStore:
    """The files of a ledger in a bucket, and those of them that are kept on this machine. Threads may share it."""

    is_shared = True

    def __init__(self, bucket: Bucket) -> None:
        self.name = bucket.url
        where = urlsplit(bucket.url)
        prefix = where.path.strip("/")
        self._store = S3Store(
            where.netloc,
            prefix=prefix or None,
            client_options={
                "allow_http": bucket.allow_http,
                "timeout": timedelta(seconds=REQUEST_S_MAX),
                "read_timeout": timedelta(seconds=SILENT_S_MAX),
                "connect_timeout": timedelta(seconds=CONNECT_S_MAX),
            },
            retry_config={"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=RETRIED_S_MAX)},
        )
        self._requests = ThreadPoolExecutor(AT_ONCE, "object-store")
        self.readable = bucket.cache.absolute()
        self.workshop = self.readable / STAGING
        self.locks = self.readable / "_locks"
        self._cache = CachedFiles(self.readable, bytes_max=bucket.cache_bytes_max)

    def prepare(self) -> None:
        """Make the workshop, and see a conditional put refused where the name is taken."""
        self.workshop.mkdir(parents=True, exist_ok=True)
        try:
            for _ in range(2):
                with self._explained(PROBE):
                    obstore.put(self._store, PROBE, b"taken", mode="create", use_multipart=False)
        except AlreadyExistsError:
            return
        raise Tampered(
            f"{self.name}: this object store does not refuse a conditional put (`If-None-Match: *`), and workers would overwrite "
            "each other's commits; use one that does, as S3 itself, or a folder"
        )

    def get(self, name: str) -> bytes:
        """Return an object's bytes."""
        with self._explained(name):
            return bytes(obstore.get(self._store, name).bytes())

    def get_each(self, names: Sequence[str]) -> Sequence[bytes | None]:
        """Return the bytes of objects, asked for at once, None for those not there."""
        return [self._found(names[0])] if len(names) == 1 else tuple(self._requests.map(self._found, names))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield an object's bytes, as they come."""
        with self._explained(name):
            yield from map(bytes, obstore.get(self._store, name).stream())

    def listed(self, folder: str, *, after: str = "") -> Iterator[Listed]:
        """Yield what is under a prefix; a request for each thousand."""
        with self._explained(folder):
            for page in obstore.list(self._store, folder, offset=after or None, chunk_size=PAGE):
                for found in page:
                    yield Listed(found["path"], int(found["last_modified"].timestamp() * 1000))

    def put(self, files: Mapping[str, bytes]) -> None:
        """Put new objects, at once. Where a put is tried again it writes the same bytes: their checksum is in the name."""
        tuple(self._requests.map(self._put, files, files.values()))
        for name, content in files.items():
            self._cache.keep(name, content)

    def place(self, made: Path, name: str) -> None:
        """Put a file as an object, in parts, and keep it to be read."""
        with self._explained(name):
            obstore.put(self._store, name, made)
        self._cache.take(made, name)

    def put_if_absent(self, name: str, content: bytes, *, unique: str) -> bool:  # noqa: ARG002  # the content is unique
        """Put an object unless the name is taken. Where the answer is lost or in doubt, whose bytes are there says what became of it."""
        for _ in range(RACES_MAX):
            failed: BaseError | None = None
            try:
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
                return True
            except AlreadyExistsError:
                pass
            except BaseError as error:
                failed = error
            there = self._found(name)
            if there is not None:
                return there == content
            if failed:  # it may arrive yet
                raise self._unavailable(failed) from failed
        raise Unavailable(f"{self.name}: {name} is refused as taken, and is not there; is another process removing entries?")

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, a thousand with a request."""
        with self._explained(self.name):
            obstore.delete(self._store, tuple(names))

    def local(self, names: Sequence[str]) -> list[str]:
        """Return where objects are kept on this machine, after those not there yet were fetched."""
        try:
            tuple(self._requests.map(self._fetch, [name for name in names if not self._cache.has(name)]))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unavailable(
                f"{self.readable}: {error.strerror or error}; files of {self.name} are kept there to be read: free the disk, or lower CZ_CACHE_MB",
                retry_after_s=RETRY_AFTER_S,
            ) from error
        return [str(self._cache.path(name)) for name in names]

    @contextmanager
    def opened_log(self) -> Iterator[Path]:
        """Lend a copy of the log from its last checkpoint on: two requests, and one for each entry since, at once."""
        after = f"{LOG}/{max(checkpointed(self), 0):020d}"
        names = [found.name for found in self.listed(LOG, after=after)]
        checkpoint = max((name for name in names if name.endswith(CHECKPOINT)), default="")
        wanted = [name for name in names if name >= checkpoint[: len(after)] and (name.endswith(".json") or name == checkpoint)]
        with tempfile.TemporaryDirectory(prefix="cz-log-") as folder:
            (Path(folder) / LOG).mkdir()
            for name, content in zip(wanted, self._requests.map(self.get, wanted), strict=True):
                (Path(folder) / name).write_bytes(content)
            yield Path(folder)

    def publish(self, log: Path, names: Iterable[str]) -> None:
        """Put files that deltalake wrote to a copy of the log."""
        for name in names:
            self._put(name, (log / name).read_bytes())

    def _put(self, name: str, content: bytes) -> None:
        with self._explained(name):
            obstore.put(self._store, name, bytes(content), use_multipart=False)  # Arrow's buffers among them

    def _found(self, name: str) -> bytes | None:
        try:
            return self.get(name)
        except FileNotFoundError:
            return None

    def _fetch(self, name: str) -> None:
        self._cache.fill(name, self.chunks(name))

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Tell what is not there from a store that does not take part."""
        try:
            yield
        except AlreadyExistsError:
            raise
        except FileNotFoundError as error:
            if _code(error) in (None, "NoSuchKey"):
                raise FileNotFoundError(f"{self.name} has no {name}") from None
            raise self._unavailable(error) from error
        except BaseError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        code = _code(error)
        if code == "NoSuchBucket":
            what = "there is no such bucket; make it, or name another in CZ_WAREHOUSE"
        elif isinstance(error, PermissionDeniedError | UnauthenticatedError) or code in REFUSALS:
            what = (
                f"the object store refused us ({code or 'without a reason'}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, "
                "and that they may get, put, delete and list there"
            )
        else:
            what = f"the object store does not take part: {_first_line(error)}; check AWS_ENDPOINT_URL and the network"
        return Unavailable(f"{self.name}: {what}. Nothing accepted is lost: landing goes on by itself", retry_after_s=RETRY_AFTER_S)


REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "XAdminUserNotFound"}  # the last one is versitygw's


def _code(error: Exception) -> str | None:
    """Return the code in the store's answer."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].removeprefix("Generic S3 error: ")
