"""What programs read of a run: lines of the log as JSON, and its metrics in the text format of Prometheus."""

import json
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from triga_runner import TRIGA, TrigaTest, environment

def parse(text):
    """(name, labels) -> value of a scrape, as Prometheus's own client reads it."""
    samples, families = {}, set()
    for family in text_string_to_metric_families(text):
        assert family.type in ("gauge", "counter"), family
        assert family.name not in families, f"{family.name} is in two groups"
        families.add(family.name)
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in samples, f"{sample} is there twice"
            samples[key] = sample.value
    return samples


class MonitoringTest(TrigaTest):
    def log(self, directory):
        return [json.loads(line) for line in (directory / "log" / "rank-0.log").read_text().splitlines()]

    def test_a_scrape_has_the_newest_metrics_and_the_log_is_json(self):
        directory = self.folder / "run"
        self.launch(1, "run", "--set", "train.max_steps=10")  # may be asked for when a run goes on
        (directory / "log" / "rank-0.log").unlink()
        process = subprocess.Popen(
            [str(TRIGA), "launch", str(self.experiment), "-n", "2", "--run-dir", str(directory), "--set", "train.max_steps=1000000",
             "--set", "log.prometheus_port=0", "--set", "log.format=json", "--set", "eval.every_steps=25"],
            cwd=self.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            deadline = time.monotonic() + 60
            samples = {}
            train = frozenset({("run", "tiny"), ("split", "train")})
            validation = frozenset({("run", "tiny"), ("split", "validation")})
            while time.monotonic() < deadline and ("triga_loss", validation) not in samples:
                time.sleep(0.05)
                self.assertIsNone(process.poll(), "it ended")
                try:
                    log = (directory / "log" / "rank-0.log").read_text()
                except FileNotFoundError:
                    continue
                served = re.search(r"served at http://[^:\s]+:(\d+)/metrics", log)
                if not served:
                    continue
                with urllib.request.urlopen(f"http://127.0.0.1:{served[1]}/metrics", timeout=5) as answer:
                    self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
                    samples = parse(answer.read().decode())
            with self.assertRaises(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{served[1]}/", timeout=5)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75)
        self.assertGreater(samples["triga_step", frozenset({("run", "tiny")})], 10)
        saved = samples["triga_last_saved_step", frozenset({("run", "tiny")})]
        self.assertTrue(saved == 10 or (saved > 0 and saved % 25 == 0), f"{saved}: the first start's last step, then every 25")
        self.assertEqual(samples["triga_failed_saves", frozenset({("run", "tiny")})], 0)
        for name in ("loss", "grad_norm", "tokens_per_second"):
            self.assertGreater(samples[f"triga_{name}", train], 0)
        losses = [line["loss"] for line in map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
                  if line.get("split") == "validation"]
        self.assertIn(samples["triga_loss", validation], losses)
        lines = self.log(directory)
        for line in lines:
            self.assertEqual(list(line), ["time", "level", "area", "rank", "message"])
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(line["level"], ("debug", "info", "warning", "error"))
            self.assertEqual(line["rank"], 0)
        self.assertTrue(any(line["area"] == "train" and "stopped on a signal" in line["message"] for line in lines))
        self.assertEqual(json.loads((directory / "log" / "rank-1.log").read_text().splitlines()[-1])["rank"], 1)

    def test_a_port_that_is_taken_does_not_end_the_run(self):
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            port = taken.getsockname()[1]
            run = self.launch(1, "run", "--set", "train.max_steps=3", "--set", f"log.prometheus_port={port}")
        self.assertIn(f"cannot serve on port {port}: Address already in use; the run goes on without",
                      (run.directory / "log" / "rank-0.log").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
