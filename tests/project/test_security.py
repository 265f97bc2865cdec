"""Each claim of docs/security.md has a test that shows it, and that test exists.

A claim is what begins with words in bold: a row of a table, or an item of a list.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "security.md"
_CLAIM = re.compile(r"^(?:\| |- )\*\*(.+?)\*\*", re.MULTILINE)
TWO, HOSTILE = "e2e/test_two_users.py", "e2e/test_hostile_node.py"
DASK = "e2e/test_dask.py"
REQUESTS = "unit/providers/ec2/launch/test_requests.py"
SHOWN = {
    # who may reach what
    "SSH of a node": [
        "unit/providers/local/test_server.py::test_another_key_a_password_and_another_user_are_refused",
        f"{TWO}::test_who_is_another_user_cannot_log_in_with_a_key_of_their_own",
        f"{REQUESTS}::test_ssh_is_open_to_the_caller_and_everything_to_members_and_nothing_else_to_anybody",
    ],
    "Controller, for clients": [
        f"{TWO}::test_whoever_has_no_key_gets_nothing_from_her_ports",
        "e2e/test_tunnel.py::test_the_client_goes_through_the_tunnel_and_through_nothing_else",
    ],
    "Controller, for engines": [f"{TWO}::test_whoever_has_no_key_gets_nothing_from_her_ports"],
    "Notebook": ["e2e/test_notebook.py::test_nobody_gets_in_without_the_token"],
    "Dask's scheduler and workers": [f"{DASK}::test_who_has_no_certificate_is_refused_and_no_key_is_in_a_command_line"],
    "Dask's dashboard": [f"{DASK}::test_the_dashboard_answers_at_its_own_path_alone"],
    "Lines between engines": [
        "unit/compute/test_passing.py::test_a_stranger_with_another_key_is_not_let_in",
        "unit/compute/test_passing.py::test_what_another_engine_sends_is_not_believed",
    ],
    "MPI between engines": ["e2e/test_mpi.py::test_mpi_listens_in_the_clusters_network_alone"],
    "Services' own sockets": [f"{TWO}::test_nothing_of_a_cluster_can_be_read_written_or_called"],
    "NFS": [
        "unit/plugins/test_nfs.py::test_the_home_alone_is_shared_and_with_the_workers_alone",
        "e2e/test_virtual_machines.py::test_only_members_may_mount_and_only_by_version_4",
    ],
    "Between members": [
        "e2e/test_containers.py::test_members_reach_each_other_by_name_without_a_question_whatever_the_shell",
        "unit/plugins/test_base.py::test_roots_key_goes_from_the_master_to_workers_in_scripts_alone",
    ],
    "A port of your own": [f"{REQUESTS}::test_permissions_are_open_to_whom_they_say"],
    # which secret lies where
    "The cluster's private key": [
        "e2e/test_main_job.py::test_the_files_with_secrets_are_their_owners_alone",
        f"{HOSTILE}::test_no_private_key_is_sent_to_a_host",
    ],
    "`client.json`": ["e2e/test_main_job.py::test_the_files_with_secrets_are_their_owners_alone"],
    "CURVE's secret key": ["e2e/test_main_job.py::test_no_secret_is_in_any_command_line_log_or_journal"],
    "The key of Dask's certificate": [
        f"{DASK}::test_who_has_no_certificate_is_refused_and_no_key_is_in_a_command_line",
        "unit/on_node/test_with_dask.py::test_the_authority_signs_the_member_and_its_own_key_is_gone",
        "unit/plugins/test_dask.py::test_a_worker_gets_the_masters_certificates_over_stdin_into_a_file_of_its_own",
    ],
    "The notebook's token": [
        "unit/on_node/test_notebook_files.py::test_its_port_and_token_are_made_once_and_are_its_owners_alone",
        "e2e/test_notebook.py::test_start_list_and_notebook_give_the_same_url",
    ],
    "Host keys' private halves": [
        "e2e/test_host_keys.py::test_a_node_gets_a_key_of_its_own_at_first_contact_and_the_connection_goes_on",
    ],
    "AWS keys": [
        "unit/config/test_example.py::test_config_init_writes_a_private_file_that_loads_and_is_never_overwritten",
        "unit/providers/local/test_server.py::test_the_environment_is_the_nodes_and_not_the_laptops",
        f"{HOSTILE}::test_every_command_ends_and_writes_nothing_where_it_should_not",
    ],
    "The throw-away host key": [
        f"{REQUESTS}::test_the_host_key_in_it_is_the_one_that_nodes_must_show_and_the_only_secret",
    ],
    "Passwords of a package index": [
        "unit/environment/test_lock.py::test_an_index_is_told_to_uv_in_its_environment_and_never_in_arguments",
    ],
    # on without being asked for
    "Host keys are pinned.": [
        "unit/providers/local/test_server.py::test_a_node_with_another_host_key_is_not_spoken_to",
        "e2e/test_openssh.py::test_one_that_was_never_pinned_is_refused",
    ],
    "A throw-away host key is replaced": [
        "e2e/test_host_keys.py::test_the_key_that_it_was_born_with_is_refused_from_then_on",
    ],
    "EC2: one way in.": [
        f"{REQUESTS}::test_ssh_is_open_to_the_caller_and_everything_to_members_and_nothing_else_to_anybody",
        f"{REQUESTS}::test_disks_are_encrypted_and_the_metadata_service_wants_tokens",
        f"{REQUESTS}::test_the_metadata_service_is_closed_unless_the_user_may_ask",
        f"{REQUESTS}::test_launch_templates_live_no_longer_than_the_launch",
    ],
    "A key of its own.": [f"{REQUESTS}::test_it_makes_a_login_that_lets_in_the_clusters_own_key_and_no_password"],
    "CURVE.": [
        f"{TWO}::test_whoever_has_no_key_gets_nothing_from_her_ports",
        "unit/on_node/test_programs.py::test_a_message_is_signed_with_the_key",
    ],
    "Names of nodes are only names.": [
        "unit/on_node/copying/test_copying.py::test_nothing_leaves_the_target_and_what_was_refused_is_named",
        "unit/on_node/copying/test_copying.py::test_a_folder_does_not_go_through_a_link_that_is_there",
    ],
    "A node's words are no orders.": [
        "unit/test_text.py::test_a_terminal_gets_nothing_that_it_would_obey",
        "unit/cli/test_output.py::test_what_a_node_says_is_shown_and_not_obeyed",
        "unit/cli/nodes/test_streams.py::test_on_a_terminal_control_characters_are_written_out",
        "e2e/test_commands.py::test_bytes_go_through_a_command_as_they_are",
    ],
    "A node's answers are checked.": [
        f"{HOSTILE}::test_every_command_ends_and_writes_nothing_where_it_should_not",
        "unit/remote/test_ssh.py::test_output_without_end_is_given_up",
        "unit/remote/test_ssh.py::test_a_question_that_is_never_answered_is_given_up",
    ],
    "A laptop that attaches a cluster believes its master nothing of itself.": [
        "unit/config/test_received.py::test_what_names_files_programs_or_secrets_of_this_computer_is_left_out",
        "unit/operations/test_attach.py::test_the_master_writes_no_file_of_its_choice",
    ],
    "An id ends machines, a name does not": [
        "unit/operations/test_proof.py::test_without_an_id_nothing_ends_or_changes_and_what_there_is_is_shown",
    ],
    "Loopback only.": [
        "e2e/test_containers.py::test_nothing_listens_for_the_world",
        "unit/providers/local/test_server.py::test_to_loopback_it_works_and_to_elsewhere_it_is_refused",
    ],
    "Ports are ours by process and user.": [
        f"{TWO}::test_a_thief_on_the_port_of_a_notebook_that_died_is_not_told_its_token",
        f"{TWO}::test_a_thief_on_the_ports_of_a_stopped_cluster_hears_nothing",
        "unit/laptop/test_ports.py::test_the_user_of_the_socket_that_gets_the_connection_counts",
    ],
    "Folders are ours alone.": [
        f"{TWO}::test_a_folder_that_both_may_write_is_refused_before_anything_of_it_is_run",
        f"{TWO}::test_a_name_in_tmp_that_a_thief_has_taken_is_refused_and_never_followed",
        "unit/laptop/test_places.py::test_another_users_folder_is_not_safe",
    ],
    "Damaged files harm nobody.": ["e2e/test_damage.py::test_a_sample_of_all_damages_to_all_kinds_of_files"],
    "Nothing in argv.": [
        "e2e/test_main_job.py::test_no_secret_is_in_any_command_line_log_or_journal",
        f"{TWO}::test_no_secret_shows_in_what_the_system_tells_of_her_processes",
        "unit/test_secret.py::test_a_secret_shows_stars",
    ],
    "Reports": ["unit/operations/nodes/test_report.py::test_it_has_what_is_known_and_no_secret"],
    # what a thief can do
    "Of the laptop": [
        "unit/operations/test_attach.py::test_its_id_nodes_config_and_engines_are_as_they_were_and_a_new_key_is_let_in",
    ],
    "Of a node": [
        "e2e/test_notebook.py::test_a_client_that_fetches_a_result_runs_what_the_node_says_and_nobody_else_does",
        f"{HOSTILE}::test_every_command_ends_and_writes_nothing_where_it_should_not",
    ],
    "Of a user's account on a node": [f"{TWO}::test_whoever_has_no_key_gets_nothing_from_her_ports"],
    "Of another account on the laptop": [f"{TWO}::test_nothing_of_a_cluster_can_be_read_written_or_called"],
    "On the wire": [
        "e2e/test_tunnel.py::test_the_client_goes_through_the_tunnel_and_through_nothing_else",
        "unit/on_node/test_programs.py::test_where_the_socket_is_encrypted_it_needs_no_signature",
    ],
}


@cache
def find_tests(file: str) -> frozenset[str]:
    """The names of the tests in a file, by its text: nothing is run, and nothing is skipped."""
    path = ROOT / "tests" / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


def test_every_claim_has_a_test_and_every_test_a_claim():
    claims = _CLAIM.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert len(claims) == len(set(claims)) > 30
    assert set(claims) == set(SHOWN)
    assert all(SHOWN.values())


@pytest.mark.parametrize("claim", SHOWN)
def test_what_shows_a_claim_exists(claim):
    missing = [name for name in SHOWN[claim] if name.partition("::")[2] not in find_tests(name.partition("::")[0])]
    assert missing == []


def test_a_test_that_is_not_there_is_missed():
    assert "test_of_nothing" not in find_tests("e2e/test_two_users.py")
    assert find_tests("no/such/file.py") == frozenset()
