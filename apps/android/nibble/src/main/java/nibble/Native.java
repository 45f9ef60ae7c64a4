// SPDX-License-Identifier: MIT
package nibble;

/**
 * The library's functions as they cross into C (cpp/nibble_jni.c); apps use Model and Session in Nibble.kt. Texts and
 * paths are UTF-8, since JNI's own strings are not. A handle is a number that was given out by open or openSession: any
 * other, and one that was closed, is an IllegalStateException, never a crash. Any number of threads may call: calls on
 * one model wait for each other, but for interrupt.
 */
public final class Native {
  private Native() {}

  /** Receives the text of an answer as it is made, whole characters in UTF-8; false ends the answer. */
  public interface Sink {
    boolean piece(byte[] utf8);
  }

  /** Receives what a person should know, a line at a time. */
  public interface Log {
    void line(byte[] utf8);
  }

  public static native byte[] version();

  /** paths[i] or, where that is null, fds[i]; the places of a .nbl file or of its parts, in order. */
  public static native long open(byte[][] paths, int[] fds, long[] offsets, long[] lengths, int threads, long batch,
      byte[] kv, long memoryLimit, int priority, Log log);

  /** mapped, own, workspace, cache, tables, available, the most tokens, whether it fits (1 or 0). */
  public static native long[] fit(byte[][] paths, int[] fds, long[] offsets, long[] lengths, int threads, long batch,
      byte[] kv, long memoryLimit, long tokens);

  /** Ends what runs on it, and frees it when its last session is closed too. Closing twice does nothing. */
  public static native void close(long handle);

  /** layers, width, vocabulary, positions, begin token, end token, whether there is a chat template, bytes. */
  public static native long[] describe(long model);

  public static native void interrupt(long model, boolean on);

  public static native int[] tokenize(long model, byte[] text, int special);

  public static native byte[] detokenize(long model, int[] ids);

  public static native byte[] chat(long model, byte[][] roles, byte[][] contents);

  public static native long openSession(long model, long context, byte[] kv);

  /** prompt tokens, new ones, reused ones, how it ended (nibble_stats), microseconds of the prompt and of the rest. */
  public static native long[] generate(long session, int[] ids, long maxTokens, double temperature, double topP,
      long seed, byte[][] stop, Sink sink);

  public static native int[] tokens(long session);

  public static native void reset(long session);

  public static native void save(long session, byte[] path);

  public static native void load(long session, byte[] path);

  /** Bytes of the process: mapped files, its own, the most of both. */
  public static native long[] memory();

  /** Processors: all, and the fast ones. */
  public static native int[] cores();
}
