"""Endpoints on this machine: which model answers when, and that none ever answers for another retailer."""

import fcntl
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from turnover_models import ITEM, REQUEST, answer_of, trained_model

from optiflow.errors import UserError
from resources.adapters import Adapters
from resources.endpoints.contract import (
    KEPT_MODELS,
    Endpoints,
    EndpointStatus,
    ServedModel,
    endpoint_name,
    served_after,
)
from resources.endpoints.local import locked
from resources.settings import load_settings
from resources.storage import FileStorage, Storage


class Shop:
    """Two retailers' models, trained once for the module, and a storage that each test gets a copy of."""

    def __init__(self, storage: Storage) -> None:
        self.first = trained_model(storage, "outlet", "turnover-outlet-training-1")
        self.second = trained_model(storage, "outlet", "turnover-outlet-training-2", seed=12)
        self.third = trained_model(storage, "outlet", "turnover-outlet-training-3", seed=13)
        self.slow = trained_model(storage, "slow-shop", "turnover-slow-shop-training-1", pace=4)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Path]:
    home = tmp_path_factory.mktemp("shop")
    return Shop(FileStorage(uri=(home / ".optiflow").as_uri())), home


@pytest.fixture
def shop(project: tuple[Shop, Path]) -> Shop:
    return project[0]


@pytest.fixture
def endpoints(project: tuple[Shop, Path]) -> Endpoints:
    """Endpoints over the models, none of them made yet."""
    made = Adapters.of(load_settings(home=project[1])).endpoints
    for retailer in ("outlet", "slow-shop"):
        made.delete(retailer)
    return made


def test_a_model_is_served_updated_and_rolled_back(endpoints: Endpoints, shop: Shop) -> None:
    assert endpoints.describe("outlet") is None
    state = endpoints.deploy(shop.first)
    assert (state.name, state.status) == ("turnover-outlet", EndpointStatus.IN_SERVICE)
    assert (state.model, state.previous_model) == (shop.first.name, None)
    answer = endpoints.invoke("outlet", REQUEST)

    state = endpoints.deploy(shop.second)
    assert (state.model, state.previous_model) == (shop.second.name, shop.first.name)
    assert endpoints.invoke("outlet", REQUEST) != answer

    state = endpoints.roll_back("outlet")
    assert (state.model, state.previous_model, state.withdrawn_model) == (shop.first.name, None, shop.second.name)
    assert endpoints.invoke("outlet", REQUEST) == answer
    assert endpoints.wait("outlet") == state == endpoints.describe("outlet")
    with pytest.raises(UserError, match="no model was served before it"):
        endpoints.roll_back("outlet")


def test_the_same_model_again_changes_nothing(endpoints: Endpoints, shop: Shop, project: tuple[Shop, Path]) -> None:
    endpoints.deploy(shop.first)
    before = endpoints.deploy(shop.second)
    file = project[1] / ".optiflow/lake/turnover/endpoint/outlet/state.json"
    written = file.stat()
    assert endpoints.deploy(shop.second) == before
    assert file.stat().st_ino == written.st_ino
    assert file.stat().st_mtime_ns == written.st_mtime_ns


def test_a_deleted_endpoint_answers_nobody_until_it_is_made_again(endpoints: Endpoints, shop: Shop) -> None:
    endpoints.deploy(shop.first)
    endpoints.deploy(shop.second)
    assert endpoints.delete("outlet")
    assert endpoints.describe("outlet") is None
    assert not endpoints.delete("outlet")
    for act in (lambda: endpoints.invoke("outlet", REQUEST), lambda: endpoints.roll_back("outlet")):
        with pytest.raises(UserError, match="There is no endpoint of 'outlet': run `optiflow run turnover outlet`"):
            act()
    assert endpoints.deploy(shop.second).previous_model is None


def test_interleaved_retailers_are_answered_by_their_own_models(endpoints: Endpoints, shop: Shop) -> None:
    endpoints.deploy(shop.first)
    endpoints.deploy(shop.slow)
    for turn in range(6):
        quick_said, quick = answer_of(endpoints.invoke("outlet", REQUEST))
        slow_said, slow = answer_of(endpoints.invoke("slow-shop", REQUEST))
        assert (quick_said, slow_said) == ("outlet", "slow-shop")
        assert all(theirs > 2 * ours for ours, theirs in zip(quick, slow, strict=True))
        if turn == 2:
            endpoints.deploy(shop.second)
        if turn == 4:
            endpoints.roll_back("outlet")


def test_no_model_is_deployed_for_another_retailer(endpoints: Endpoints, shop: Shop) -> None:
    endpoints.deploy(shop.first)
    borrowed = replace(shop.slow, retailer="outlet")
    with pytest.raises(UserError, match="is not deployed for 'outlet': this is the model of retailer 'slow-shop'"):
        endpoints.deploy(borrowed)
    state = endpoints.describe("outlet")
    assert state is not None
    assert state.model == shop.first.name
    assert answer_of(endpoints.invoke("outlet", REQUEST))[0] == "outlet"


def test_a_state_that_names_another_retailers_model_is_not_answered_from(
    endpoints: Endpoints, shop: Shop, project: tuple[Shop, Path]
) -> None:
    endpoints.deploy(shop.first)
    file = project[1] / ".optiflow/lake/turnover/endpoint/outlet/state.json"
    file.write_text(file.read_text().replace(shop.first.key, shop.slow.key))
    with pytest.raises(UserError, match="model of retailer 'slow-shop', not of 'outlet'"):
        endpoints.invoke("outlet", REQUEST)


def test_a_request_for_another_retailer_is_refused(endpoints: Endpoints, shop: Shop) -> None:
    endpoints.deploy(shop.first)
    with pytest.raises(UserError, match="model of retailer 'outlet', not of 'slow-shop'"):
        endpoints.invoke("outlet", json.dumps({"instances": [ITEM], "retailer": "slow-shop"}).encode())


def test_a_wrong_request_is_told_with_its_place(endpoints: Endpoints, shop: Shop) -> None:
    endpoints.deploy(shop.first)
    with pytest.raises(UserError, match="instance 1, field 'price' is -3"):
        endpoints.invoke("outlet", json.dumps({"instances": [ITEM, {**ITEM, "price": -3}]}).encode())


def test_a_model_that_is_not_there_leaves_the_old_one(endpoints: Endpoints, shop: Shop) -> None:
    endpoints.deploy(shop.first)
    with pytest.raises(UserError, match=r"There is no model at file://.*: materialize turnover/model for 'outlet'"):
        endpoints.deploy(ServedModel("turnover-outlet-training-9", "outlet", "lake/none.tar.gz"))
    assert answer_of(endpoints.invoke("outlet", REQUEST))[0] == "outlet"


@pytest.mark.parametrize("retailer", ["../outlet", "Outlet", ""])
def test_only_a_dataset_id_names_an_endpoint(endpoints: Endpoints, retailer: str) -> None:
    with pytest.raises(UserError, match="is not a dataset id"):
        endpoints.describe(retailer)


def test_a_model_that_comes_back_follows_on_the_one_that_was_served(endpoints: Endpoints, shop: Shop) -> None:
    for model in (shop.first, shop.second, shop.third, shop.first):
        state = endpoints.deploy(model)
    assert (state.model, state.previous_model) == (shop.first.name, shop.third.name)
    assert endpoints.roll_back("outlet").previous_model == shop.second.name


def test_what_a_failed_change_has_left_is_not_gone_back_to() -> None:
    assert served_after(["a", "b", "failed"], "b", "c") == ["a", "b", "c"]
    assert served_after([], None, "a") == ["a"]
    assert served_after(["a"], "newer", "c") == ["a", "newer", "c"]
    assert len(served_after(list("abcdef"), "f", "g")) == KEPT_MODELS


def test_names_of_endpoints_are_cut_without_becoming_equal() -> None:
    long = ["x" * 60 + end for end in "ab"]
    names = [endpoint_name("turnover", retailer) for retailer in long]
    assert endpoint_name("turnover", "outlet") == "turnover-outlet"
    assert len(set(names)) == 2
    assert all(len(name) <= 63 and name.startswith("turnover-x") for name in names)


def text(said: object) -> Callable[[Path], object]:
    written = said if isinstance(said, bytes) else json.dumps(said).encode()
    return lambda path: path.write_bytes(written)


WHOLE = {"models": [["m", "k"]], "created_at": "2024-05-01T00:00:00+00:00", "withdrawn": None}
DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": text(b""),
    "zeros": text(bytes(512)),
    "cut": text(json.dumps(WHOLE)[:-9].encode()),
    "no text": text(b"\xff\xfe\x00"),
    "deep": text(b"[" * 100_000),
    "list": text([]),
    "null": text(None),
    "number": text(7),
    "string": text("models"),
    "no keys": text({}),
    **{
        f"models {value!r}": text(WHOLE | {"models": value})
        for value in (7, None, True, "ab", [[1, 2]], [["a"]], ["ab"])
    },
    **{f"time {value!r}": text(WHOLE | {"created_at": value}) for value in (7, None, "x", "2024-05-01T00:00:00")},
    **{f"withdrawn {value!r}": text(WHOLE | {"withdrawn": value}) for value in (7, [], {})},
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path.name),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_a_failed_endpoint_which_the_next_deployment_mends(
    endpoints: Endpoints, shop: Shop, project: tuple[Shop, Path], damage: str
) -> None:
    endpoints.deploy(shop.slow)
    endpoints.deploy(shop.first)
    file = project[1] / ".optiflow/lake/turnover/endpoint/outlet/state.json"
    file.unlink()
    DAMAGE[damage](file)
    state = endpoints.describe("outlet")
    assert state is not None
    assert (state.status, state.model, state.previous_model) == (EndpointStatus.FAILED, None, None)
    assert f"The endpoint of 'outlet' cannot be read: {file.as_uri()}" in str(state.failure_reason)
    assert endpoints.wait("outlet") == state
    for act in (lambda: endpoints.invoke("outlet", REQUEST), lambda: endpoints.roll_back("outlet")):
        with pytest.raises(
            UserError, match=r"'outlet' cannot be read: .*Put the file back, or run `optiflow run turnover"
        ):
            act()
    assert answer_of(endpoints.invoke("slow-shop", REQUEST))[0] == "slow-shop"
    if damage == "folder":
        with pytest.raises(UserError, match=r"state\.json is a folder\. Move it away"):
            endpoints.deploy(shop.first)
        file.rmdir()
    assert endpoints.deploy(shop.first).model == shop.first.name
    assert answer_of(endpoints.invoke("outlet", REQUEST))[0] == "outlet"
    file.unlink()
    DAMAGE["empty"](file)
    assert endpoints.delete("outlet")
    assert endpoints.describe("outlet") is None


PROCESSES, UPDATES = 4, 25


def deploy_many(home: Path, model: ServedModel, number: int, barrier, told) -> None:
    """Deploys the same archive under names of its own, and tells which model each of them followed on."""
    made = Adapters.of(load_settings(home=home)).endpoints
    barrier.wait()
    told.put([made.deploy(replace(model, name=f"{number}-{update}")).previous_model for update in range(UPDATES)])


def test_of_updates_at_once_none_is_lost(endpoints: Endpoints, shop: Shop, project: tuple[Shop, Path]) -> None:
    """Each model follows on another one: an update that another one undid would have been followed by nobody."""
    endpoints.deploy(shop.first)
    context = multiprocessing.get_context("fork")
    barrier, told = context.Barrier(PROCESSES), context.Queue()
    others = [
        context.Process(target=deploy_many, args=(project[1], shop.first, number, barrier, told))
        for number in range(PROCESSES)
    ]
    for other in others:
        other.start()
    before = [name for _ in others for name in told.get(timeout=60)]
    for other in others:
        other.join()
    last = endpoints.describe("outlet")
    assert last is not None
    names = {f"{number}-{update}" for number in range(PROCESSES) for update in range(UPDATES)}
    assert len(before) == len(names)
    assert {*before, last.model} == {shop.first.name, *names}


def test_a_lock_whose_file_was_replaced_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    storage, path = FileStorage(uri=tmp_path.as_uri()), tmp_path / "state.lock"
    storage.write_bytes("state.lock", b"")
    with path.open("rb") as first, ThreadPoolExecutor(1) as other:
        fcntl.flock(first, fcntl.LOCK_EX)
        waiting = other.submit(locked, storage, "state.lock")
        end = time.monotonic() + 60
        while openings(path) < 2 and time.monotonic() < end:
            pass
        storage.write_bytes("state.lock", b"")
        fcntl.flock(first, fcntl.LOCK_UN)
        lock = waiting.result(timeout=60)
        assert os.path.samestat(os.fstat(lock), path.stat())
        os.close(lock)


def openings(path: Path) -> int:
    """How often this process has the file open."""
    found = 0
    for handle in Path("/dev/fd").iterdir():
        try:
            found += os.path.samestat(os.fstat(int(handle.name)), path.stat())
        except OSError:  # closed meanwhile
            continue
    return found
