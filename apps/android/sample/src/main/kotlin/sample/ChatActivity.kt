// SPDX-License-Identifier: MIT
package sample

import android.app.Activity
import android.os.Bundle
import android.view.inputmethod.EditorInfo
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import java.io.File
import org.json.JSONArray
import org.json.JSONObject
import kotlin.concurrent.thread
import nibble.Library
import nibble.Message
import nibble.Model
import nibble.NibbleException
import nibble.Options
import nibble.Session
import nibble.Source

/**
 * A conversation with assets/model.nbl, or with its parts assets/model-00001-of-0000N.nbl: mapped out of the APK, never
 * copied. Leaving the app saves the conversation and its cache; coming back goes on without running it again. A touch on the text ends an answer.
 */
class ChatActivity : Activity() {
    private lateinit var said: TextView
    private lateinit var line: EditText
    private val messages = mutableListOf<Message>()
    @Volatile private var model: Model? = null
    private var session: Session? = null
    private val told get() = File(filesDir, "conversation.json")
    private val cache get() = File(filesDir, "conversation.cache")

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        said = TextView(this).apply { textSize = 16f; setPadding(24, 24, 24, 24); setOnClickListener { model?.interrupt(true) } }
        line = EditText(this).apply {
            hint = "Say something"; isSingleLine = true; isEnabled = false; imeOptions = EditorInfo.IME_ACTION_SEND
            setOnEditorActionListener { _, _, _ -> ask(text.toString()); text.clear(); true }
        }
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            addView(ScrollView(context).apply { addView(said) }, LinearLayout.LayoutParams(-1, 0, 1f))
            addView(line, LinearLayout.LayoutParams(-1, -2))
        })
        thread { open() }
    }

    private fun show(text: String) = runOnUiThread { said.append(text) }

    private fun open() {
        Library.load()
        val names = assets.list("")!!.filter { it.startsWith("model") && it.endsWith(".nbl") }.sorted()
        val entries = names.map { assets.openFd(it) }
        try {
            val sources = entries.map { Source.descriptor(it.parcelFileDescriptor.fd, it.startOffset, it.length) }
            val options = Options(log = { show("$it\n\n") })
            val fit = Model.fit(sources, 2048, options)
            if (!fit.fits) show("This phone has ${fit.available shr 20} MiB free and ${fit.own shr 20} are needed.\n")
            val m = Model.open(sources, options)
            session = m.session(minOf(2048L, m.info.positions))
            model = m
            restore()
            runOnUiThread { line.isEnabled = true }
        } catch (e: NibbleException) {
            show("${e.message}\n")
        } finally {
            entries.forEach { it.close() }
        }
    }

    private fun restore() {
        if (!told.exists()) return
        val list = JSONArray(told.readText())
        for (i in 0 until list.length()) messages += list.getJSONObject(i).let { Message(it.getString("r"), it.getString("c")) }
        messages.forEach { show(if (it.role == "user") "> ${it.content}\n" else "${it.content}\n\n") }
        try {
            session!!.load(cache.path)
        } catch (e: NibbleException) {
            show("") // of an earlier version or another model: the text is run again with the next turn
        }
    }

    private fun keep() {
        val list = JSONArray()
        messages.toList().forEach { list.put(JSONObject().put("r", it.role).put("c", it.content)) }
        told.writeText(list.toString())
        try {
            session?.save(cache.path)
        } catch (e: NibbleException) {
            cache.delete()
        }
    }

    private fun ask(text: String) {
        val m = model ?: return
        line.isEnabled = false
        messages += Message("user", text)
        show("> $text\n")
        thread {
            try {
                m.interrupt(false)
                messages += Message("assistant", session!!.answer(messages) { show(it); true })
            } catch (e: NibbleException) {
                if (e.status == NibbleException.STOPPED) messages.removeAt(messages.lastIndex) else show(e.message ?: "")
            }
            show("\n\n")
            runOnUiThread { line.isEnabled = true }
        }
    }

    override fun onStop() {
        super.onStop()
        model?.interrupt(true)
        if (messages.isNotEmpty()) thread { keep() }
    }

    override fun onDestroy() {
        super.onDestroy()
        session?.close()
        model?.close()
    }
}
