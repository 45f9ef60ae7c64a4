// SPDX-License-Identifier: MIT
// A conversation in the terminal: swift run nibble-chat MODEL.nbl, or all parts in order.
import Foundation
import Nibble

func talk(_ files: [URL]) throws {
    let options = Options()
    let fit = try Model.fit(files, tokens: 2048, options: options)
    print("\(fit.mapped >> 20) MiB mapped, \(fit.own >> 20) MiB of its own at 2048 tokens")
    let model = try Model(files, options: options)
    let session = try Session(model, context: min(2048, model.info.max_position))
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
}

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data("nibble-chat: \(text)\n".utf8))
    exit(1)
}

let files = CommandLine.arguments.dropFirst().map { URL(fileURLWithPath: $0) }
guard !files.isEmpty else { fail("usage: nibble-chat MODEL.nbl, or its parts in order") }
do { try talk(files) } catch { fail("\(error)") }
