// SPDX-License-Identifier: MIT
package nibble

import java.io.Closeable

/** Where a .nbl file, or a part of one, lies: a file, or a run of an open descriptor (an uncompressed entry of an APK). */
class Source private constructor(internal val path: String?, internal val fd: Int, internal val offset: Long, internal val length: Long) {
    companion object {
        fun file(path: String) = Source(path, -1, 0, 0)
        /** The descriptor stays yours, and may be closed when the model is open. */
        fun descriptor(fd: Int, offset: Long, length: Long) = Source(null, fd, offset, length)
    }
}

enum class Priority { SAME, HIGH, LOW, BACKGROUND }

/** How a model is opened; nibble.h's nibble_options. */
class Options(
    /** 0: the fast cores, which are all that a phone should use. */
    val threads: Int = 0,
    /** Tokens of a forward pass: fewer take less memory. 0: the library's choice, 512. */
    val batch: Long = 128,
    /** The cache's type; null: q8, the smallest. */
    val cache: String? = null,
    /** Bytes of its own at most; 0: no limit. */
    val memoryLimit: Long = 0,
    val priority: Priority = Priority.SAME,
    val log: ((String) -> Unit)? = null
)

/** What a model would take; nibble.h's nibble_fit. */
class Fit internal constructor(x: LongArray) {
    val mapped = x[0]
    val own = x[1]
    val workspace = x[2]
    val cache = x[3]
    val tables = x[4]
    val available = x[5]
    val mostTokens = x[6]
    val fits = x[7] != 0L
}

class Message(val role: String, val content: String)

/** What an answer came to. */
class Stats internal constructor(x: LongArray) {
    val promptTokens = x[0]
    val newTokens = x[1]
    val reusedTokens = x[2]
    /** 0: by a limit or the callback; 1: by the model; 2: by a stop string. */
    val ended = x[3]
    val promptSeconds = x[4] / 1e6
    val newSeconds = x[5] / 1e6
}

private fun String.utf8() = toByteArray(Charsets.UTF_8)
private fun ByteArray.text() = toString(Charsets.UTF_8)

/** An open model. Calls from several threads wait for each other; interrupt does not wait. */
class Model private constructor(internal val handle: Long) : Closeable {
    class Info internal constructor(x: LongArray) {
        val layers = x[0]
        val width = x[1]
        val vocabulary = x[2]
        val positions = x[3]
        val begin = x[4].toInt()
        val end = x[5].toInt()
        val hasChatTemplate = x[6] != 0L
        val bytes = x[7]
    }

    val info = Info(Native.describe(handle))

    /** Ids of a text; those of a chat's text with special = 0. */
    fun tokenize(text: String, special: Int = 0): IntArray = Native.tokenize(handle, text.utf8(), special)
    fun detokenize(ids: IntArray): String = Native.detokenize(handle, ids).text()

    /** A conversation in the form that the model was trained on, ending where its answer begins. */
    fun chat(messages: List<Message>): String = Native.chat(
        handle, messages.map { it.role.utf8() }.toTypedArray(), messages.map { it.content.utf8() }.toTypedArray()
    ).text()

    /** Ends what runs with a NibbleException of status STOPPED, and all that begins until it is taken back. */
    fun interrupt(on: Boolean) = Native.interrupt(handle, on)

    /** context: tokens of prompt and answer at most; 0: what the model or the memory limit allow. */
    fun session(context: Long = 0, cache: String? = null) =
        Session(this, Native.openSession(handle, context, cache?.utf8()))

    override fun close() = Native.close(handle)

    companion object {
        private fun threads(o: Options) = if (o.threads > 0) o.threads else Native.cores()[1]
        private fun paths(s: List<Source>) = s.map { it.path?.utf8() }.toTypedArray()
        private fun fds(s: List<Source>) = s.map { it.fd }.toIntArray()
        private fun offsets(s: List<Source>) = s.map { it.offset }.toLongArray()
        private fun lengths(s: List<Source>) = s.map { it.length }.toLongArray()

        /** One file, or all of its parts in order. */
        fun open(sources: List<Source>, o: Options = Options()): Model {
            val log = o.log
            return Model(
                Native.open(
                    paths(sources), fds(sources), offsets(sources), lengths(sources), threads(o), o.batch,
                    o.cache?.utf8(), o.memoryLimit, o.priority.ordinal,
                    if (log == null) null else Native.Log { log(it.text()) }
                )
            )
        }

        /** Before loading: what it would take with a session of so many tokens (0: all positions). */
        fun fit(sources: List<Source>, tokens: Long, o: Options = Options()) = Fit(
            Native.fit(
                paths(sources), fds(sources), offsets(sources), lengths(sources), threads(o), o.batch,
                o.cache?.utf8(), o.memoryLimit, tokens
            )
        )
    }
}

/** A conversation that goes on: of each turn only what is new is run. */
class Session internal constructor(private val model: Model, private val handle: Long) : Closeable {
    /** Continues the ids; piece gets the text as it is made and returns false to end the answer. */
    fun generate(
        ids: IntArray, maxTokens: Long = 256, temperature: Double = 0.0, topP: Double = 1.0, seed: Long = 0,
        stop: List<String> = emptyList(), piece: (String) -> Boolean
    ) = Stats(
        Native.generate(
            handle, ids, maxTokens, temperature, topP, seed, stop.map { it.utf8() }.toTypedArray(),
            Native.Sink { piece(it.text()) }
        )
    )

    /** The answer to a conversation, which becomes its next message. */
    fun answer(messages: List<Message>, maxTokens: Long = 256, piece: (String) -> Boolean = { true }): String {
        val text = StringBuilder()
        generate(model.tokenize(model.chat(messages)), maxTokens) {
            text.append(it)
            piece(it)
        }
        return text.toString()
    }

    val tokens: IntArray get() = Native.tokens(handle)
    fun reset() = Native.reset(handle)
    fun save(path: String) = Native.save(handle, path.utf8())
    fun load(path: String) = Native.load(handle, path.utf8())
    override fun close() = Native.close(handle)
}
