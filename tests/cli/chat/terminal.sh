# On a terminal: Ctrl-C ends an answer and not the program, a wrong command is said and forgiven, Ctrl-D ends.
. "$LIB"
command -v python3 >/dev/null || skip "no python3"
big_positions() { sed -e 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 60000/' "$TOY/config.json" >long/config.json; }
toy long
big_positions
cat >talk.py <<'T'
import os, pty, re, select, signal, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("nibble", ["nibble", "chat", "long", "-n", "50000", "-t", "1"])
seen = b""
def until(what, seconds=60):
    global seen
    end = time.time() + seconds
    while not re.search(what, seen):
        if time.time() > end or not select.select([fd], [], [], end - time.time())[0]:
            sys.exit(f"no {what} in {seen[-500:]!r}")
        try:
            seen += os.read(fd, 65536)
        except OSError:
            sys.exit(f"it ended; no {what} in {seen[-500:]!r}")
# A prompt that is the last of the output: only then does the terminal take a line whole.
def say(text):
    global seen
    seen = b""
    os.write(fd, text)
until(rb"> \Z")
say(b"the ant\n")
until(rb"the ant\r\n(.|\s){200}")  # it writes
say(b"\x03")
until(rb"stopped; the answer stays")
until(rb"> \Z")
say(b"/frob\n")
until(rb"no command /frob")
until(rb"> \Z")
say(b"half a li\x03")  # at the prompt it takes the line back
until(rb"> \Z")
say("/system caf\u00e9\n".encode())  # letters, although these tests have the locale C
until(rb"> \Z")
say(b"/stats\n")
until(rb"1 turns, 1 of them seen")
until(rb"> \Z")
say(b"/save saved.json\n")
until(rb"> \Z")
for again in range(60):  # what is typed while the terminal changes its mode may be lost
    try:
        os.write(fd, b"\x04")
    except OSError:
        pass
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(1)
sys.exit("it did not end")
T
timeout 120 python3 talk.py
[ "$(jsonq system <saved.json)" = 'café' ]
[ "$(jsonq messages.0.content <saved.json)" = 'the ant' ]
[ -n "$(jsonq messages.1.content <saved.json)" ]
