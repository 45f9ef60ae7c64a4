// SPDX-License-Identifier: MIT
package nibble;

/** Loads the native library; an app calls load() once, before anything else. */
public final class Library {
  private Library() {}

  public static void load() {
    System.loadLibrary("nibble_jni");
  }
}
