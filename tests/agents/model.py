# SPDX-License-Identifier: MIT
"""A model on loopback that says what a script says: speaks as much of three vendors' streaming APIs as agents need to run a tool.

    m = Model(["ls", "date"])       # one shell command a turn, then "done"
    ... an agent is pointed at m.url ...
    m.results                       # what the agent told the model of each command, as text
    m.requests                      # all bodies, parsed

Whatever is asked beside is answered with an empty object or 404, so that nothing waits for the internet."""
import contextlib
import http.server
import json
import re
import threading
import time


class Model:
    def __init__(self, script):
        self.script = list(script)
        self.requests, self.results, self.others = [], [], []
        self.seen = {}  # tool call id -> index of its command
        self.lock = threading.Lock()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                self.answer(200, b"", "text/plain")

            def do_GET(self):
                model.others.append(("GET", self.path))
                self.answer(404 if "stat" in self.path else 200, b"{}", "application/json")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    status, out, kind = model.post(self.path, body)
                    self.answer(status, out, kind)

            def answer(self, status, body, kind):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- what comes ----

    def post(self, path, body):
        try:
            q = json.loads(body or b"{}")
        except ValueError:
            q = {}
        for part, speak in (("/messages", self.anthropic), ("/responses", self.responses), ("GenerateContent", self.gemini),
                            ("generateContent", self.gemini)):
            if path.partition("?")[0].endswith(part) or (part in path and "enerateContent" in part):
                self.requests.append(q)
                with self.lock:
                    return speak(path, q)
        self.others.append(("POST", path))
        if "count" in path:
            return 200, json.dumps({"input_tokens": 10, "totalTokens": 10}).encode(), "application/json"
        return 200, b"{}", "application/json"

    def next_step(self, told):
        """`told`: {call id: text}, all results that the request carries. The command to run now, or None: the end."""
        for call, text in told.items():
            if call in self.seen:
                at = self.seen.pop(call)
                while len(self.results) <= at:
                    self.results.append(None)
                self.results[at] = text
        n = getattr(self, "turn", 0)
        if n >= len(self.script):
            return None, None
        self.turn = n + 1
        call = f"call_{n:04d}"
        self.seen[call] = n
        return self.script[n], call

    # ---- Anthropic's messages ----

    def anthropic(self, _path, q):
        told = {}
        for m in q.get("messages", []):
            for part in m["content"] if isinstance(m["content"], list) else []:
                if part.get("type") == "tool_result":
                    told[part["tool_use_id"]] = text_of(part.get("content"))
        step, call = (None, None)
        if any(t.get("name") == "Bash" for t in q.get("tools", [])):
            step, call = self.next_step(told)
        if step is None:
            block, deltas, stop = {"type": "text", "text": ""}, [{"type": "text_delta", "text": "done"}], "end_turn"
        else:
            args = step if isinstance(step, dict) else {"command": step}
            block = {"type": "tool_use", "id": call, "name": "Bash", "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps({"description": "a step of the script", **args})}]
            stop = "tool_use"
        message = {"id": f"msg_{time.monotonic_ns()}", "type": "message", "role": "assistant", "model": q.get("model", "m"), "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
        if not q.get("stream"):
            content = [{"type": "text", "text": "done"}] if step is None else [{**block, "input": args}]
            return 200, json.dumps({**message, "content": content, "stop_reason": stop}).encode(), "application/json"
        return events([{"type": "message_start", "message": message}, {"type": "content_block_start", "index": 0, "content_block": block},
                       *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas), {"type": "content_block_stop", "index": 0},
                       {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 5}},
                       {"type": "message_stop"}])

    # ---- OpenAI's responses ----

    def responses(self, _path, q):
        told = {i["call_id"]: text_of(i.get("output")) for i in q.get("input", [])
                if isinstance(i, dict) and str(i.get("type", "")).endswith("_output")}
        step, call = self.next_step(told)
        ident = f"resp_{time.monotonic_ns()}"
        if step is None:
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "done", "annotations": []}]}
        else:
            item = {"type": "function_call", "id": "fc_" + call, "call_id": call, "status": "completed", **self.openai_call(q, step)}
        response = {"id": ident, "object": "response", "created_at": int(time.time()), "status": "in_progress", "model": q.get("model", "m"), "output": []}
        usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15}
        return events([{"type": "response.created", "response": response},
                       {"type": "response.output_item.added", "output_index": 0, "item": item},
                       {"type": "response.output_item.done", "output_index": 0, "item": item},
                       {"type": "response.completed", "response": {**response, "status": "completed", "output": [item], "usage": usage}}])

    @staticmethod
    def openai_call(q, step):
        names = {t.get("name") for t in q.get("tools", [])}
        if isinstance(step, dict) and step.get("poll"):
            return {"name": "write_stdin", "arguments": json.dumps({"session_id": session_of(q), "chars": "", "yield_time_ms": 15000})}
        extra = {} if isinstance(step, str) else {k: v for k, v in step.items() if k != "command"}
        command = step if isinstance(step, str) else step["command"]
        if "exec_command" in names:
            return {"name": "exec_command", "arguments": json.dumps({"cmd": command, **extra})}
        if "shell_command" in names:
            return {"name": "shell_command", "arguments": json.dumps({"command": command, **extra})}
        return {"name": "shell", "arguments": json.dumps({"command": ["bash", "-lc", command], **extra})}

    # ---- Google's generateContent ----

    def gemini(self, path, q):
        told = {}
        for c in q.get("contents", []):
            for part in c.get("parts", []):
                if "functionResponse" in part:
                    f = part["functionResponse"]
                    told[f.get("id")] = json.dumps(f.get("response"), ensure_ascii=False)
        step, call = (None, None)
        if any(d.get("name") == "run_shell_command" for t in q.get("tools", []) for d in t.get("functionDeclarations", [])):
            step, call = self.next_step(told)
        if step is None:
            # Small questions beside want JSON; who asks gets some.
            wants_json = q.get("generationConfig", {}).get("responseMimeType") == "application/json"
            parts = [{"text": "{}" if wants_json else "done"}]
        else:
            args = step if isinstance(step, dict) else {"command": step}
            parts = [{"functionCall": {"id": call, "name": "run_shell_command", "args": {"description": "a step of the script", **args}}}]
        answer = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
                  "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}}
        if "stream" in path:
            return 200, b"data: " + json.dumps(answer).encode() + b"\r\n\r\n", "text/event-stream"
        return 200, json.dumps(answer).encode(), "application/json"


def session_of(q):
    """Of codex: which command is still running, by the last that was said of one."""
    said = re.findall(r"session ID (\d+)", json.dumps(q.get("input", [])))
    return int(said[-1]) if said else 0


def events(list_of):
    return 200, b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in list_of), "text/event-stream"


def text_of(content):
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(c.get("text", "") if isinstance(c, dict) else str(c) for c in content)
    return json.dumps(content)
