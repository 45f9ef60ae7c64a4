// SPDX-License-Identifier: MIT
package nibble;

import java.nio.charset.StandardCharsets;

/** What failed: status is nibble.h's nibble_status, the message its text. */
public final class NibbleException extends RuntimeException {
  public static final int IO = 1, FORMAT = 2, UNSUPPORTED = 3, MEMORY = 4, ARGUMENT = 5, NUMERIC = 6, STOPPED = 7;
  private static final long serialVersionUID = 1;
  public final int status;

  NibbleException(int status, byte[] message) {
    super(new String(message, StandardCharsets.UTF_8));
    this.status = status;
  }
}
