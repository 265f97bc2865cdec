"""What nodes run for Dask, without Dask: ports and certificates, the scheduler's page, and who reads it."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import os
import threading

import pytest
from cryptography import x509

from clusterctl.on_node.with_dask import busy_scheduler, make_connection, page, probe_scheduler, wait_workers

HERE = "127.0.0.1"


@pytest.fixture
def make(tmp_path, capsys, allow_loopback, monkeypatch):
    monkeypatch.setattr(make_connection, "version", lambda name: "2026.8.0")
    monkeypatch.setattr(make_connection, "processes_of", lambda program: [])

    def make(address=HERE):
        values = {"file": tmp_path / "c.json", "address": address, "program": "scheduler.py", "cluster": "lab"}
        make_connection.main(values)
        return json.loads(capsys.readouterr().out)

    return make


class TestConnection:
    def test_ports_and_certificates_are_made_once_and_kept(self, make, tmp_path):
        made = make()
        assert (tmp_path / "c.json").stat().st_mode & 0o777 == 0o600
        assert make() == made
        assert made["scheduler"] != made["dashboard"]

    def test_the_authority_signs_the_member_and_its_own_key_is_gone(self, make):
        made = make()
        ca, cert = (x509.load_pem_x509_certificate(made[name].encode()) for name in ("ca", "cert"))
        cert.verify_directly_issued_by(ca)
        assert made["key"].count("PRIVATE KEY") == 2
        assert cert.not_valid_after_utc > dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=3000)

    @pytest.mark.parametrize("damage", ["{", '{"host": 1}', '{"ca": "x", "cert": 7, "key": []}', "[]"])
    def test_a_damaged_file_is_made_anew(self, make, tmp_path, damage):
        (tmp_path / "c.json").write_text(damage)
        assert "BEGIN CERTIFICATE" in make()["ca"]

    def test_a_port_that_somebody_else_has_is_given_up_and_the_keys_stay(self, make):
        made = make()
        with http.server.HTTPServer((HERE, made["scheduler"]), http.server.BaseHTTPRequestHandler):
            other = make()
        assert other["scheduler"] != made["scheduler"]
        assert other["key"] == made["key"]

    def test_another_address_takes_other_ports_and_has_the_scheduler_start_anew(self, make, monkeypatch):
        make()
        ended = []
        monkeypatch.setattr(make_connection, "processes_of", lambda program: [77])
        monkeypatch.setattr(os, "kill", lambda pid, number: ended.append(pid))
        assert make("127.0.0.2")["host"] == "127.0.0.2"
        assert ended == [77]
        make("127.0.0.2")
        assert ended == [77]


@pytest.fixture
def scheduler(tmp_path, allow_loopback):
    """A scheduler's page, and the file that tells of it."""
    said = {"workers": ["master-0"], "tasks": 3}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            right = self.path == "/t0ken/clusterctl"
            body = (said if isinstance(said, str) else json.dumps(said)).encode() if right else b""
            self.send_response(200 if right else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((HERE, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"dashboard": server.server_port, "token": "t0ken"}))
    yield file, said
    server.shutdown()
    server.server_close()
    thread.join()


class TestPage:
    def test_who_is_there_and_what_is_to_be_done(self, scheduler, capsys):
        file, _ = scheduler
        found = probe_scheduler.main({"file": file})(7)
        assert found == {
            "parts": [{"part": "dask scheduler", "pid": 7, "trouble": ""}],
            "facts": {"workers": ["master-0"]},
        }
        assert busy_scheduler.main({"file": file})() == {"": "3 tasks of Dask"}
        wait_workers.main({"file": file, "workers": ["master-0"], "timeout_s": 0})
        assert json.loads(capsys.readouterr().out) == {"trouble": "", "workers": ["master-0"]}

    def test_no_task_is_no_work_and_neither_is_a_scheduler_that_does_not_run(self, scheduler, tmp_path):
        file, said = scheduler
        said["tasks"] = 0
        assert busy_scheduler.main({"file": file})() == {}
        (tmp_path / "gone.json").write_text(json.dumps({"dashboard": 1, "token": "x"}))
        assert busy_scheduler.main({"file": tmp_path / "gone.json"})() == {}

    def test_a_task_is_at_work_on_the_node_whose_worker_has_it(self, scheduler):
        file, said = scheduler
        said.update(tasks=6, busy={"node003-0": 2, "node003-11": 1, "my-node-0": 1})
        assert busy_scheduler.main({"file": file})() == {
            "": "2 tasks of Dask",
            "my-node": "1 task of Dask",
            "node003": "3 tasks of Dask",
        }

    @pytest.mark.parametrize("damage", [{"workers": 7, "tasks": 1}, {}, {"workers": [], "tasks": 1, "busy": [3]}])
    def test_an_answer_that_is_none_is_trouble(self, scheduler, damage):
        file, said = scheduler
        said.clear()
        said.update(damage)
        assert "cannot be read" in probe_scheduler.main({"file": file})(7)["parts"][0]["trouble"]

    def test_another_users_program_is_not_told_the_path(self, scheduler, monkeypatch):
        file, _ = scheduler
        monkeypatch.setattr(page, "listening_users", lambda port: {file.stat().st_uid, 4321})
        assert "a process of user 4321" in probe_scheduler.main({"file": file})(7)["parts"][0]["trouble"]

    def test_who_waits_in_vain_says_what_there_is(self, scheduler, capsys):
        file, _ = scheduler
        wait_workers.main({"file": file, "workers": ["node001-0"], "timeout_s": 0})
        assert json.loads(capsys.readouterr().out)["workers"] == ["master-0"]
