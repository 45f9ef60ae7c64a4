// SPDX-License-Identifier: MIT
// A conversation in the terminal: swift run nibble-chat MODEL.nbl, or all parts in order.
import Foundation
import Nibble

let files = CommandLine.arguments.dropFirst().map { URL(fileURLWithPath: $0) }
guard !files.isEmpty else { fatalError("usage: nibble-chat MODEL.nbl, or its parts in order") }
let options = Options()
let fit = try Model.fit(files, tokens: 2048, options: options)
print("\(fit.mapped >> 20) MiB mapped, \(fit.own >> 20) MiB of its own at 2048 tokens")
let model = try Model(files, options: options)
let session = try Session(model, context: 2048)
var messages: [Message] = []
while let line = readLine() {
    messages.append(Message(role: "user", content: line))
    let text = try session.answer(messages) { piece in
        print(piece, terminator: "")
        fflush(stdout)
        return true
    }
    print()
    messages.append(Message(role: "assistant", content: text))
}
