// SPDX-License-Identifier: MIT
package nibble;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.RandomAccessFile;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** The JNI code in a real virtual machine. usage: JniTest MODEL.nbl FIRST-PART SECOND-PART FOLDER */
public final class JniTest {
  static int passed, failed, wrong;

  /** One of a test's checks. A test that made a thousand of them is one test. */
  static void check(boolean ok, String what) {
    if (ok) return;
    wrong++;
    System.out.println("FAIL " + what);
    new Throwable().printStackTrace(System.out);
  }

  static void test(String name, Call c) {
    wrong = 0;
    try {
      c.run();
    } catch (Throwable t) {
      check(false, name + ": " + t);
    }
    if (wrong == 0) passed++;
    else failed++;
    System.out.println((wrong == 0 ? "ok " : "FAIL ") + name);
  }

  interface Call {
    void run() throws Exception;
  }

  static void fails(Class<?> kind, String part, Call c) {
    try {
      c.run();
      check(false, "no exception with \"" + part + "\"");
    } catch (Throwable t) {
      check(kind.isInstance(t) && t.getMessage() != null && t.getMessage().contains(part), t + " for \"" + part + "\"");
    }
  }

  static byte[] utf8(String s) throws Exception {
    return s.getBytes("UTF-8");
  }

  static long open(String path, int fd, long offset, long length, long limit) throws Exception {
    return Native.open(new byte[][] {path == null ? null : utf8(path)}, new int[] {fd}, new long[] {offset},
        new long[] {length}, 2, 0, null, limit, 0, null);
  }

  static String say(long session, int[] ids, int most) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Native.generate(session, ids, most, 0, 0, 0, null, piece -> {
      out.write(piece, 0, piece.length);
      return true;
    });
    return out.toString("UTF-8");
  }

  static int number(FileInputStream in) throws Exception {
    Field f = FileDescriptor.class.getDeclaredField("fd");
    f.setAccessible(true);
    return f.getInt(in.getFD());
  }

  /** Stores the file uncompressed in an archive, aligned as zipalign 4 would; gives where it begins. */
  static long archive(File file, File zip) throws Exception {
    byte[] bytes = Files.readAllBytes(file.toPath());
    CRC32 crc = new CRC32();
    crc.update(bytes);
    String first = "META-INF/x", name = "assets/model.nbl";
    for (int pad = 0; pad < 4; pad++) {
      try (ZipOutputStream out = new ZipOutputStream(new FileOutputStream(zip))) {
        ZipEntry other = new ZipEntry(first);
        out.putNextEntry(other);
        out.write(new byte[pad]);
        out.closeEntry();
        ZipEntry e = new ZipEntry(name);
        e.setMethod(ZipEntry.STORED);
        e.setSize(bytes.length);
        e.setCompressedSize(bytes.length);
        e.setCrc(crc.getValue());
        byte[] extra = new byte[4 + pad]; // an unknown field of `pad` bytes
        extra[0] = (byte) 0xfe;
        extra[1] = (byte) 0xca;
        extra[2] = (byte) pad;
        e.setExtra(extra);
        out.putNextEntry(e);
        out.write(bytes);
        out.closeEntry();
      }
      byte[] all = Files.readAllBytes(zip.toPath());
      for (int at = 0; at + 30 < all.length; at++) {
        boolean here = all[at] == 'P' && all[at + 1] == 'K' && all[at + 2] == 3 && all[at + 3] == 4;
        int n = (all[at + 26] & 255) + 256 * (all[at + 27] & 255), m = (all[at + 28] & 255) + 256 * (all[at + 29] & 255);
        if (!here || n != name.length()) continue;
        if ((at + 30 + n + m) % 4 == 0) return at + 30 + n + m;
        break;
      }
    }
    throw new IllegalStateException("no aligned archive");
  }

  static void fromAnArchive(String model, File folder) throws Exception {
    File zip = new File(folder, "base.apk");
    long at = archive(new File(model), zip), size = new File(model).length();
    check(at % 64 != 0 || at % 4096 != 0, "the entry begins at " + at);
    long whole = open(model, -1, 0, 0, 0), s = Native.openSession(whole, 200, null);
    int[] ids = Native.tokenize(whole, utf8("the ant"), 1);
    String want = say(s, ids, 12);
    FileInputStream in = new FileInputStream(zip);
    long m = open(null, number(in), at, size, 0);
    in.close();
    long t = Native.openSession(m, 200, null);
    check(say(t, ids, 12).equals(want) && want.length() > 5, "from the archive: " + want);
    check(Arrays.equals(Native.describe(m), Native.describe(whole)), "described alike");
    byte[] text = Native.detokenize(m, ids);
    check(new String(text, "UTF-8").contains("the ant"), "back to text");
    Native.close(m); // before its session: which lives on, but runs nothing more
    fails(NibbleException.class, "interrupted", () -> say(t, new int[] {5, 6, 7}, 3));
    Native.close(t);
    fails(NibbleException.class, "no multiple of 4", () -> open(zip.getPath(), -1, at + 1, size, 0));
    fails(NibbleException.class, "are not in it", () -> open(zip.getPath(), -1, at, size * 9, 0));
    fails(NibbleException.class, "file descriptor -1", () -> open(null, -1, 0, 0, 0));
    Native.close(s);
    Native.close(whole);
  }

  static void turnsAndFiles(String model, File folder) throws Exception {
    long m = open(model, -1, 0, 0, 0), a = Native.openSession(m, 300, null), b = Native.openSession(m, 300, null);
    byte[] path = utf8(new File(folder, "c\u00e4che").getPath());
    byte[][] user = {utf8("user")};
    if (Native.describe(m)[6] == 1) check(Native.chat(m, user, new byte[][] {utf8("hello \ud83d\ude00")}).length > 5, "chat");
    else fails(NibbleException.class, "chat template", () -> Native.chat(m, user, new byte[][] {utf8("hello")}));
    int[] first = Native.tokenize(m, utf8("the red house and the ant"), 1),
        second = Native.tokenize(m, utf8("the red house and the ant saw a house"), 1);
    fails(NibbleException.class, "no tokens to save", () -> Native.save(a, path));
    say(a, first, 4);
    Native.save(a, path);
    Native.load(b, path);
    check(Arrays.equals(Native.tokens(a), Native.tokens(b)) && Native.tokens(b).length >= first.length, "restored");
    long[] stats = Native.generate(b, second, 8, 0, 0, 0, new byte[][] {utf8("zzzz")}, null);
    check(stats[2] >= first.length - 1 && stats[0] == second.length, "reused " + stats[2]);
    check(say(a, second, 8).equals(say(b, second, 8)), "the same after restoring");
    Native.reset(b);
    check(Native.tokens(b).length == 0, "reset");
    fails(NibbleException.class, "cannot open", () -> Native.load(b, utf8("/no/such")));
    fails(NibbleException.class, "not a session's cache", () -> Native.load(b, utf8(model)));
    try {
      Native.load(b, utf8(model));
    } catch (NibbleException e) {
      check(e.status == NibbleException.FORMAT, "status " + e.status);
    }
    Native.close(a);
    Native.close(b);
    Native.close(m);
  }

  static void cancelled(String model) throws Exception {
    long m = open(model, -1, 0, 0, 0), s = Native.openSession(m, 900, null);
    int[] ids = Native.tokenize(m, utf8("the ant"), 1);
    AtomicInteger pieces = new AtomicInteger();
    long[] stats = Native.generate(s, ids, 400, 0, 0, 0, null, p -> pieces.incrementAndGet() < 3);
    check(pieces.get() == 3 && stats[1] < 400, "ended by the callback after " + pieces.get());
    Thread other = new Thread(() -> {
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        return;
      }
      Native.interrupt(m, true);
    });
    other.start();
    fails(NibbleException.class, "interrupted", () -> {
      for (;;) Native.generate(s, ids, 400, 0.9, 0, 1, null, null);
    });
    other.join();
    Native.interrupt(m, false);
    check(say(s, ids, 5).length() > 0, "and goes on");
    fails(IllegalArgumentException.class, "mine", () -> Native.generate(s, ids, 50, 0, 0, 0, null, p -> {
      throw new IllegalArgumentException("mine");
    }));
    fails(IllegalStateException.class, "its own model", () -> Native.generate(s, ids, 50, 0, 0, 0, null, p -> {
      Native.reset(s);
      return true;
    }));
    long[] inside = {s};
    Native.generate(s, ids, 50, 0, 0, 0, null, p -> { // closed while it runs: it ends first
      Native.close(inside[0]);
      return true;
    });
    fails(IllegalStateException.class, "closed", () -> Native.tokens(s));
    Native.close(m);
  }

  static void hostile(String model) throws Exception {
    long m = open(model, -1, 0, 0, 0), s = Native.openSession(m, 100, null);
    Random r = new Random(1);
    int[] ids = {1, 2, 3};
    for (int i = 0; i < 3000; i++) {
      long h = i < 300 ? i : i % 3 == 0 ? m ^ 1L << i % 64 : i % 3 == 1 ? s + (r.nextInt(9) - 4) * 65536L : r.nextLong();
      if (h == m || h == s) continue;
      fails(IllegalStateException.class, "closed", () -> Native.generate(h, ids, 1, 0, 0, 0, null, null));
      fails(IllegalStateException.class, "closed", () -> Native.describe(h));
      Native.close(h);
    }
    fails(IllegalStateException.class, "closed", () -> Native.openSession(s, 10, null)); // of the other kind
    fails(IllegalStateException.class, "closed", () -> Native.tokens(m));
    fails(IllegalArgumentException.class, "null", () -> Native.tokenize(m, null, 0));
    fails(IllegalArgumentException.class, "null", () -> Native.detokenize(m, null));
    fails(IllegalArgumentException.class, "null", () -> Native.generate(s, null, 1, 0, 0, 0, null, null));
    fails(IllegalArgumentException.class, "null", () -> Native.chat(m, null, null));
    fails(IllegalArgumentException.class, "null", () -> Native.chat(m, new byte[][] {null}, new byte[][] {null}));
    fails(IllegalArgumentException.class, "as many", () -> Native.chat(m, new byte[][] {{65}}, new byte[][] {}));
    fails(IllegalArgumentException.class, "null", () -> Native.save(s, null));
    fails(IllegalArgumentException.class, "null", () -> Native.open(null, null, null, null, 0, 0, null, 0, 0, null));
    fails(IllegalArgumentException.class, "lengths",
        () -> Native.open(new byte[2][], new int[1], new long[2], new long[2], 0, 0, null, 0, 0, null));
    fails(NibbleException.class, "no sources",
        () -> Native.open(new byte[0][], new int[0], new long[0], new long[0], 0, 0, null, 0, 0, null));
    fails(NibbleException.class, "out of range", () -> Native.generate(s, new int[] {-7, 1 << 30}, 1, 0, 0, 0, null, null));
    fails(NibbleException.class, "do not fit", () -> Native.generate(s, ids, -1, 0, 0, 0, null, null));
    fails(NibbleException.class, "stop string", () -> Native.generate(s, ids, 1, 0, 0, 0, new byte[][] {{}}, null));
    fails(NibbleException.class, "out of range", () -> Native.openSession(m, -5, null));
    fails(NibbleException.class, "not a cache type", () -> Native.openSession(m, 50, new byte[] {(byte) 0xff, (byte) 0xc0}));
    try {
      Native.detokenize(m, new int[] {-1, Integer.MAX_VALUE, Integer.MIN_VALUE, 5});
    } catch (NibbleException e) {
      check(e.getMessage() != null, "a message");
    }
    Native.generate(s, ids, 3, Double.NaN, Double.POSITIVE_INFINITY, -1, null, null);
    Native.close(s);
    Native.close(s);
    Native.close(m);
    Native.close(m);
    for (int i = 0; i < 600; i++) { // places are used again, and old handles stay closed
      long again = open(model, -1, 0, 0, 0);
      check(again != m, "another handle");
      Native.close(again);
      fails(IllegalStateException.class, "closed", () -> Native.describe(m));
    }
  }

  static void manyThreads(String model) throws Exception {
    long m = open(model, -1, 0, 0, 0);
    int[] ids = Native.tokenize(m, utf8("the ant and the house"), 1);
    long one = Native.openSession(m, 100, null);
    String want = say(one, ids, 10);
    AtomicInteger right = new AtomicInteger(), closed = new AtomicInteger();
    Thread[] t = new Thread[6];
    for (int i = 0; i < t.length; i++) {
      t[i] = new Thread(() -> {
        try {
          for (int k = 0; k < 15; k++) {
            long s = Native.openSession(m, 100, null);
            if (say(s, ids, 10).equals(want)) right.incrementAndGet();
            Native.close(s);
          }
        } catch (Exception e) {
          System.out.println(e);
        }
      });
      t[i].start();
    }
    for (Thread x : t) x.join();
    check(right.get() == 90, right.get() + " of 90 right");
    for (int i = 0; i < t.length; i++) { // the model is closed under their feet
      t[i] = new Thread(() -> {
        try {
          for (;;) {
            long s = Native.openSession(m, 100, null);
            say(s, ids, 10);
            Native.close(s);
          }
        } catch (IllegalStateException | NibbleException e) {
          closed.incrementAndGet();
        } catch (Exception e) {
          System.out.println(e);
        }
      });
      t[i].start();
    }
    Thread.sleep(100);
    Native.close(m);
    for (Thread x : t) x.join();
    check(closed.get() == t.length, closed.get() + " threads were told");
    Native.close(one);
  }

  static void facts(String model) throws Exception {
    check(new String(Native.version(), "UTF-8").matches("[0-9.]+"), "version");
    int[] cores = Native.cores();
    check(cores[0] >= cores[1] && cores[1] >= 1, "cores");
    check(Native.memory()[1] > 0, "memory");
    long[] fit = Native.fit(new byte[][] {utf8(model)}, new int[1], new long[1], new long[1], 2, 64, null, 0, 512);
    check(fit[0] == new File(model).length() && fit[1] == fit[2] + fit[3] + fit[4] && fit[7] == 1, "fit");
    fails(NibbleException.class, "a smaller batch", () -> open(model, -1, 0, 0, 1000));
  }

  static void parts(String first, String second) throws Exception {
    long parts = Native.open(new byte[][] {utf8(first), utf8(second)}, new int[2], new long[2], new long[2], 1, 0, null, 0,
        2, line -> check(line.length > 10, "a line of the log"));
    Native.close(parts);
    fails(NibbleException.class, "is part 2 of 2", () -> Native.open(new byte[][] {utf8(second), utf8(first)}, new int[2],
        new long[2], new long[2], 1, 0, null, 0, 0, null));
  }

  public static void main(String[] args) throws Exception {
    System.load(new File(args[4]).getAbsolutePath());
    File folder = new File(args[3]);
    test("version, cores, memory, fit", () -> facts(args[0]));
    test("parts", () -> parts(args[1], args[2]));
    test("from an archive", () -> fromAnArchive(args[0], folder));
    test("turns and files", () -> turnsAndFiles(args[0], folder));
    test("cancelled", () -> cancelled(args[0]));
    test("hostile arguments", () -> hostile(args[0]));
    test("many threads", () -> manyThreads(args[0]));
    System.out.println(passed + " passed, " + failed + " failed, 0 skipped");
    System.exit(failed == 0 ? 0 : 1);
  }
}
