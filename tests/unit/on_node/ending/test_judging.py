"""When a cluster ends, by clocks that nobody sets."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from clusterctl.node.ending import Terms as LaptopTerms
from clusterctl.on_node.system.ending.clocks import Moment
from clusterctl.on_node.system.ending.judging import CLIENT, COST, LIFETIME, Wishes, judge
from clusterctl.on_node.system.ending.records import AWAKE, ENDED, ENDING, WARNED, Beat, Keep, State, Terms

IDLE = Terms(nonce="n", life="m", idle_s=1200.0)
LIFE = Terms(nonce="n", life="m", lifetime_s=7200.0)
BOOT = "boot"


class Master:
    """A master that looks every 15 seconds."""

    def __init__(self, terms, up_s=10_000.0):
        self.terms, self.state = terms, State()
        self.now = Moment(BOOT, up_s, up_s)
        self.wishes = Wishes(None, None)
        self.busy = ""
        self.look()

    def look(self):
        self.state = judge(self.terms, self.state, self.now, busy=self.busy, wishes=self.wishes)
        return self.state

    def wait(self, seconds, every_s=15.0):
        while seconds > 0:
            step_s = min(every_s, seconds)
            self.now = Moment(self.now.boot, self.now.awake_s + step_s, self.now.up_s + step_s)
            seconds -= step_s
            self.look()
        return self.state


def test_the_laptop_writes_the_terms_that_the_master_reads():
    # What has no field on the laptop is the master's default.
    assert {field.name for field in fields(LaptopTerms)} | {"warn_s"} == {field.name for field in fields(Terms)}


def test_it_is_warned_five_minutes_before_and_ends_in_time():
    master = Master(IDLE)
    assert master.wait(880).phase == AWAKE
    assert master.wait(30).phase == WARNED
    assert 0 < master.state.due_s <= 300
    assert master.wait(270).phase == WARNED
    assert master.wait(30).phase == ENDING
    assert master.state.why == "nobody has worked for 20 min"


def test_work_begins_the_wait_anew_also_when_it_has_begun_to_end():
    master = Master(IDLE)
    assert master.wait(1230).phase == ENDING
    master.busy = "3 tasks"
    assert master.wait(15).phase == AWAKE
    assert master.state.due_s < 0
    master.busy = ""
    assert master.wait(890).phase == AWAKE


def test_nothing_ends_without_terms():
    assert Master(Terms(nonce="n")).wait(10**6, every_s=50).phase == AWAKE


@pytest.mark.parametrize("terms", [IDLE, LIFE])
def test_who_keeps_it_postpones_the_end_and_may_take_that_back(terms):
    master = Master(terms)
    master.wait(1190 if terms is IDLE else 7190)
    master.wishes = Wishes(Keep("wish", 7200.0), None)
    assert master.wait(7100).phase in {AWAKE, WARNED}
    master.wishes = Wishes(Keep("another", 0.0), None)
    assert master.wait(200).phase == ENDING


def test_a_wish_counts_once_and_no_longer_than_a_month():
    master = Master(IDLE)
    master.wishes = Wishes(Keep("wish", 1e9), None)
    master.wait(15)
    assert master.state.kept_s <= 30 * 86_400
    master.state = replace(master.state, kept_s=0.0)
    master.wait(15)
    assert master.state.kept_s == 0


def test_the_cost_counts_whoever_keeps_it():
    master = Master(Terms(nonce="n", max_usd=2.0, spent_usd=1.0, hourly_usd=2.0))
    master.wishes = Wishes(Keep("wish", 7200.0), None)
    assert master.wait(1700).phase == WARNED
    assert (master.wait(130).phase, master.state.why) == (ENDING, COST)


def test_a_program_that_is_gone_ends_its_cluster_and_one_that_lives_does_not():
    master = Master(Terms(nonce="n", client_s=300.0))
    for count in range(40):
        master.wishes = Wishes(None, Beat("program", count))
        assert master.wait(60).phase == AWAKE
    assert (master.wait(420).phase, master.state.why) == (ENDING, CLIENT)


@pytest.mark.parametrize("way", ["frozen", "asleep", "booted"])
def test_who_did_not_look_cannot_say_that_nobody_worked(way):
    master = Master(IDLE)
    master.wait(1100)
    passed_s = {"frozen": (9000.0, 9000.0), "asleep": (1.0, 90_000.0), "booted": (0.0, 0.0)}[way]
    if way == "booted":
        master.now = Moment("another", 30.0, 30.0)
    else:
        master.now = Moment(BOOT, master.now.awake_s + passed_s[0], master.now.up_s + passed_s[1])
    assert master.look().phase in ({WARNED} if way == "asleep" else {AWAKE})
    assert master.state.idle_s <= (1101 if way == "asleep" else 0)


def test_lifetime_counts_sleep_and_other_boots_but_gives_a_machine_that_boots_time_to_be_joined():
    master = Master(LIFE)
    master.wait(3600)
    master.now = Moment("another", 20.0, 20.0)
    assert master.look().lived_s == pytest.approx(3600)
    master.wait(4000)
    master.now = Moment("third", 20.0, 20.0)
    assert master.look().phase == AWAKE
    assert master.wait(1100).phase != ENDING
    assert (master.wait(300).phase, master.state.why) == (ENDING, LIFETIME)


@pytest.mark.parametrize("had_ended", [True, False])
def test_being_idle_gives_a_machine_that_boots_time_to_be_joined_on_new_terms(had_ended):
    """A `start` may take longer than its cluster may be idle: its end would come in the middle of it."""
    short = replace(IDLE, idle_s=10.0, powers_off=True)
    master = Master(short)
    if had_ended:
        assert master.wait(30).phase == ENDING
        master.state = replace(master.state, phase=ENDED)
    master.now = Moment("another", 20.0, 20.0)
    assert master.look().phase == AWAKE
    assert master.wait(1100).phase != ENDING
    master.terms = replace(short, nonce="of the start")
    assert master.look().phase == AWAKE
    assert (master.wait(30).phase, master.state.why) == (ENDING, "nobody has worked for 10 s")


def test_one_that_was_switched_on_by_hand_ends_all_the_same():
    master = Master(replace(IDLE, idle_s=10.0))
    master.now = Moment("another", 20.0, 20.0)
    assert (master.wait(1300).phase, master.state.why) == (ENDING, "nobody has worked for 10 s")


def test_an_end_that_is_seen_late_is_warned_of_first():
    master = Master(LIFE)
    master.now = Moment(BOOT, master.now.awake_s + 1, master.now.up_s + 90_000)
    assert master.look().phase == WARNED
    assert master.state.due_s == 60
    assert master.wait(45).phase == WARNED
    assert master.wait(30).phase == ENDING


def test_the_next_start_begins_another_life_and_one_in_between_does_not():
    master = Master(LIFE)
    master.wait(3600)
    master.terms = replace(LIFE, nonce="another")
    assert master.look().lived_s == pytest.approx(3600)
    master.terms = replace(LIFE, nonce="third", life="another machine")
    assert master.look().lived_s == 0
    master.state = replace(master.state, phase=ENDED, lived_s=7200.0)
    assert master.wait(100).phase == ENDED
    master.terms = replace(LIFE, nonce="fourth", life="another machine")
    assert (master.look().phase, master.state.lived_s) == (AWAKE, 0)


def test_a_machine_that_somebody_switches_on_again_ends_again_and_one_whose_services_stopped_stays_ended():
    for powers_off, phase in ((True, AWAKE), (False, ENDED)):
        master = Master(replace(IDLE, powers_off=powers_off))
        master.state = replace(master.state, phase=ENDED)
        master.now = Moment("another", 5.0, 5.0)
        assert master.look().phase == phase
