// SPDX-License-Identifier: MIT
// The Swift classes against the library: arguments are a model, its text after the prompt in the third by `nibble
// generate`, and a folder. Of `make apple-check`.
import Foundation
import Nibble

var failed = 0
func check(_ what: String, _ ok: Bool) {
    if !ok { print("failed: \(what)"); failed += 1 }
}

let file = URL(fileURLWithPath: CommandLine.arguments[1])
let (prompt, expected, folder) = (CommandLine.arguments[2], CommandLine.arguments[3], CommandLine.arguments[4])
let fit = try Model.fit([file], tokens: 100_000)
check("what it takes", fit.mapped > 1_000_000 && fit.own > fit.cache && fit.cache > 0)
let model = try Model([file])
let info = model.info
check("what it is", info.layers > 0 && info.max_position > 0 && info.has_chat_template == 1)

let session = try Session(model, context: min(512, info.max_position))
let question = Message(role: "user", content: prompt)
var pieces = ""
let answer = try session.answer([question], maxTokens: 24) { pieces += $0; return true }
check("the program's text: \(answer)", answer == expected && pieces == answer)
let next = try model.tokenize(model.chat([question, Message(role: "assistant", content: answer), Message(role: "user", content: "é 😀")]))
let saved = URL(fileURLWithPath: folder + "/saved")
try session.save(to: saved)
let told = try session.generate(next, maxTokens: 8) { _ in true }
check("only what is new is run: \(told.reused)", told.reused > 0 && told.stats.new_tokens == 8)
let again = try Session(model, context: min(512, info.max_position))
try again.load(from: saved)
check("also after it was restored", try again.generate(next, maxTokens: 8) { _ in true }.reused == told.reused)
again.reset()
check("not after it was forgotten", try again.generate(next, maxTokens: 8) { _ in true }.reused == 0)
check("it ends where it is told to", try again.generate(next, maxTokens: 8) { _ in false }.stats.new_tokens < 8)

model.interrupt(true)
do {
    _ = try session.generate(next) { _ in true }
    check("it is interrupted", false)
} catch let e as NibbleError { check("it is interrupted", e.stopped) }
model.interrupt(false)
do {
    _ = try Model([URL(fileURLWithPath: folder + "/none.nbl")])
    check("a lost file is refused", false)
} catch { check("a message: \(error)", "\(error)".contains("none.nbl")) }
print("\(failed == 0 ? 1 : 0) passed, \(failed == 0 ? 0 : 1) failed, 0 skipped")
exit(failed == 0 ? 0 : 1)
