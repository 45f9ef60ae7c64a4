// SPDX-License-Identifier: MIT
// libnibble for Swift: thin classes over nibble.h, which documents each call. A Model and its sessions are for one thread
// at a time, but for interrupt(_:): give them an actor or a queue of their own.
import CNibble
import Foundation

/// What failed: the status of nibble.h and its message.
public struct NibbleError: Error, CustomStringConvertible {
    public let status: nibble_status
    public let description: String
    public var stopped: Bool { status == NIBBLE_STOPPED }
}

private func run(_ call: (UnsafeMutablePointer<nibble_error>) -> nibble_status) throws {
    var err = nibble_error()
    let status = call(&err)
    guard status == NIBBLE_OK else {
        let text = withUnsafeBytes(of: &err.text) { String(cString: $0.bindMemory(to: CChar.self).baseAddress!) }
        throw NibbleError(status: status, description: text)
    }
}

/// Text that the library handed over, which is released.
private func take(_ text: UnsafeMutablePointer<CChar>?, _ n: Int) -> String {
    defer { nibble_free(text) }
    guard let text = text else { return "" }
    return String(decoding: UnsafeBufferPointer(start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: n), as: UTF8.self)
}

private func withOptional<T>(_ s: String?, _ body: (UnsafePointer<CChar>?) -> T) -> T {
    guard let s = s else { return body(nil) }
    return s.withCString(body)
}

public struct Message {
    public let role, content: String
    public init(role: String, content: String) { (self.role, self.content) = (role, content) }
}

public struct Options {
    public var threads: Int32 = 0 // 0: the fast cores
    public var batch = 128 // tokens of a forward pass: fewer take less memory. 0: the library's choice, 512
    public var cache: String? = nil // nil: q8, the smallest
    public var memoryLimit: UInt64 = 0
    public var priority = NIBBLE_PRIORITY_SAME
    public init() {}

    fileprivate func with<T>(_ body: (UnsafePointer<nibble_options>) -> T) -> T {
        var all: Int32 = 0, fast: Int32 = 0
        nibble_cores(&all, &fast)
        return withOptional(cache) { kv in
            var o = nibble_options()
            o.size = MemoryLayout<nibble_options>.size
            o.threads = threads > 0 ? threads : fast
            o.batch = batch
            o.kv = kv
            o.memory_limit = memoryLimit
            o.priority = priority
            return body(&o)
        }
    }
}

private func withSources<T>(_ urls: [URL], _ body: ([nibble_source]) -> T) -> T {
    let copies = urls.map { strdup($0.path) }
    defer { copies.forEach { free($0) } }
    return body(copies.map { nibble_source(path: UnsafePointer($0), fd: -1, offset: 0, length: 0) })
}

public final class Model {
    fileprivate let handle: OpaquePointer

    /// One file, or all of its parts in order.
    public init(_ files: [URL], options: Options = Options()) throws {
        var m: OpaquePointer?
        try run { err in
            options.with { o in withSources(files) { nibble_open_sources($0, $0.count, o, &m, err) } }
        }
        handle = m!
    }

    deinit { nibble_close(handle) }

    /// What it would take, before loading; tokens 0: all positions.
    public static func fit(_ files: [URL], tokens: Int, options: Options = Options()) throws -> nibble_fit {
        var fit = nibble_fit()
        fit.size = MemoryLayout<nibble_fit>.size
        try run { err in
            options.with { o in withSources(files) { nibble_fit_sources($0, $0.count, o, tokens, &fit, err) } }
        }
        return fit
    }

    public var info: nibble_info {
        var i = nibble_info()
        nibble_describe(handle, &i)
        return i
    }

    /// From any thread: ends what runs, and what begins until it is taken back.
    public func interrupt(_ on: Bool) { nibble_interrupt(handle, on ? 1 : 0) }

    public func tokenize(_ text: String, special: Int32 = 0) throws -> [Int32] {
        var ids: UnsafeMutablePointer<Int32>?, n = 0
        try run { err in text.withCString { nibble_tokenize(handle, $0, text.utf8.count, special, &ids, &n, err) } }
        defer { nibble_free(ids) }
        return Array(UnsafeBufferPointer(start: ids, count: n))
    }

    public func chat(_ messages: [Message]) throws -> String {
        let copies = messages.map { (strdup($0.role), strdup($0.content)) }
        defer { copies.forEach { free($0.0); free($0.1) } }
        let list = copies.map { nibble_message(role: UnsafePointer($0.0), content: UnsafePointer($0.1)) }
        var text: UnsafeMutablePointer<CChar>?, n = 0
        try run { nibble_chat(handle, list, list.count, &text, &n, $0) }
        return take(text, n)
    }
}

/// A conversation that goes on: of each turn only what is new is run.
public final class Session {
    private let model: Model // outlives its sessions
    private let handle: OpaquePointer

    public init(_ model: Model, context: Int = 0, cache: String? = nil) throws {
        var s: OpaquePointer?
        try run { err in
            withOptional(cache) { kv in
                var o = nibble_session_options()
                o.size = MemoryLayout<nibble_session_options>.size
                o.context = context
                o.kv = kv
                return nibble_session_open(model.handle, &o, &s, err)
            }
        }
        self.model = model
        handle = s!
    }

    deinit { nibble_session_close(handle) }

    private final class Sink {
        let piece: (String) -> Bool
        init(_ piece: @escaping (String) -> Bool) { self.piece = piece }
    }

    /// Continues the ids; piece gets the text as it is made and returns false to end the answer.
    @discardableResult
    public func generate(_ ids: [Int32], maxTokens: Int = 256, temperature: Double = 0, seed: UInt64 = 0,
                         piece: @escaping (String) -> Bool) throws -> (stats: nibble_stats, reused: Int) {
        let sink = Sink(piece)
        var g = nibble_generation()
        g.max_tokens = maxTokens
        g.temperature = temperature
        g.seed = seed
        g.ctx = Unmanaged.passUnretained(sink).toOpaque()
        g.text = { ctx, bytes, n in
            let text = UnsafeRawBufferPointer(start: bytes, count: n)
            return Unmanaged<Sink>.fromOpaque(ctx!).takeUnretainedValue().piece(String(decoding: text, as: UTF8.self)) ? 1 : 0
        }
        var stats = nibble_stats(), reused = 0
        try withExtendedLifetime(sink) {
            try run { nibble_session_generate(handle, ids, ids.count, &g, &stats, &reused, $0) }
        }
        return (stats, reused)
    }

    /// The answer to a conversation, which becomes its next message.
    public func answer(_ messages: [Message], maxTokens: Int = 256, piece: @escaping (String) -> Bool = { _ in true }) throws -> String {
        var text = ""
        let ids = try model.tokenize(model.chat(messages))
        try generate(ids, maxTokens: maxTokens) { text += $0; return piece($0) }
        return text
    }

    public func reset() { nibble_session_reset(handle) }
    public func save(to file: URL) throws { try run { nibble_session_save(handle, file.path, $0) } }
    public func load(from file: URL) throws { try run { nibble_session_load(handle, file.path, $0) } }
}
