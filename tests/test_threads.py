"""Crews: order, errors, and the end."""

import itertools
import threading
import time

import pytest
import torch

from dsaecodec.codec.preset import PRESETS
from dsaecodec.codec.threads import Crew, limited_threads
from dsaecodec.errors import ConfigError

CPU = torch.device("cpu")
CREWS = [lambda: Crew(1, CPU), lambda: Crew(3, CPU), Crew.alone]


@pytest.mark.parametrize("make", CREWS)
def test_work_comes_back_in_order_and_without_gradients(make):
    with make() as crew:
        futures = [crew.submit(lambda i=i: (i, torch.is_grad_enabled())) for i in range(20)]
        assert [future.result() for future in futures] == [(i, False) for i in range(20)]
        failed = crew.submit(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            failed.result()


@pytest.mark.parametrize("make", CREWS)
def test_items_made_ahead_are_the_same(make):
    with make() as crew:
        doubled = (2 * x for x in crew.ahead(iter(range(50))))
        assert list(crew.ahead(doubled)) == list(range(0, 100, 2))


def test_no_more_than_a_few_items_are_made_ahead():
    made = []

    def items():
        for number in itertools.count():
            made.append(number)
            yield number

    with Crew(2, CPU) as crew:
        ahead = crew.ahead(items())
        assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
        time.sleep(0.2)
        assert len(made) <= 9
        ahead.close()


@pytest.mark.parametrize("make", CREWS)
def test_an_error_comes_where_its_item_would(make):
    def items():
        yield 1
        raise ValueError("second")

    with make() as crew:
        ahead = crew.ahead(items())
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="second"):
            next(ahead)


def test_a_crew_ends_while_items_are_wanted_no_more():
    before, threads = threading.active_count(), torch.get_num_threads()
    with pytest.raises(KeyError), Crew(2, CPU) as crew:
        ahead = crew.ahead(itertools.count())
        next(ahead)
        raise KeyError
    assert threading.active_count() == before and torch.get_num_threads() == threads
    with limited_threads(2), Crew(None, CPU) as crew:
        assert crew.threads == 2 and crew.threads_beside == 1
    with pytest.raises(ConfigError):
        Crew(0, CPU)


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_nested_crews_end_too(pause):
    def slow():
        for number in itertools.count():
            time.sleep(pause)
            yield number

    def interrupted():
        with pytest.raises(KeyboardInterrupt), Crew(2, CPU) as crew:
            outer = crew.ahead(x + 1 for x in crew.ahead(slow()))
            assert next(outer) == 1
            raise KeyboardInterrupt
        ended.set()

    ended = threading.Event()
    threading.Thread(target=interrupted, daemon=True).start()
    assert ended.wait(20)


def test_integers_are_multiplied_in_full_precision_whatever_a_process_allows():
    def found():
        return torch.backends.mkldnn.matmul.fp32_precision

    torch.set_float32_matmul_precision("medium")
    try:
        before = found()
        assert before == "bf16"
        with Crew(2, CPU) as crew, limited_threads(None):
            with limited_threads(1):
                assert found() == crew.submit(found).result() == "ieee"
            assert found() == "ieee"
        assert found() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_large_pictures_have_shorter_gops():
    lengths = [PRESETS["medium"].longest_gop(h, w) for h, w in ((360, 640), (1080, 1920), (1, 1))]
    assert lengths == [64, 32, 64]
