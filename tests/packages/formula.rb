# SPDX-License-Identifier: MIT
# Runs a formula's `install` and `test do` without Homebrew: the archive of its url is checked by its sha256, unpacked,
# installed into FOLDER/prefix, tested in FOLDER/test. A word of Homebrew that is not played here is an error.
# usage: ruby formula.rb FORMULA.rb FOLDER
require "digest"
require "pathname"
require "fileutils"

def ENV.cc = "cc"

class Formula
  class << self
    attr_reader :facts, :dependencies, :check
    %i[desc homepage url version sha256 license].each do |word|
      define_method(word) { |value = nil| value ? (@facts ||= {})[word] = value : @facts[word] }
    end
    def depends_on(what) = (@dependencies ||= []) << what
    def uses_from_macos(what) = depends_on(what)
    def on_macos = (yield if RUBY_PLATFORM.include?("darwin"))
    def test(&block) = @check = block
  end

  attr_reader :prefix, :testpath

  def initialize(prefix, testpath)
    @prefix = prefix
    @testpath = testpath
  end

  def version = self.class.version
  def bin = prefix/"bin"
  def lib = prefix/"lib"
  def include = prefix/"include"

  def system(*command)
    Kernel.system(*command.map(&:to_s)) or abort "failed: #{command.join(" ")}"
  end

  def shell_output(command)
    text = `#{command}`
    $?.success? or abort "failed: #{command}"
    text
  end

  def assert_match(want, have) = have.include?(want) || abort("no #{want.inspect} in #{have.inspect}")
end

load ARGV[0]
folder = Pathname(ARGV[1])
facts = Nibble.facts
%i[desc homepage url version sha256 license].each { |f| facts[f] or abort "no #{f}" }
facts[:desc].length <= 80 && facts[:desc] !~ /\A(An?|The) |\.\z/ or abort "brew style refuses this desc"
archive = facts[:url].delete_prefix("file://")
Digest::SHA256.file(archive).hexdigest == facts[:sha256] or abort "#{archive} has another hash"
%w[source test].each { |d| FileUtils.mkdir_p(folder/d) }
Kernel.system("tar", "xzf", archive, "-C", (folder/"source").to_s, "--strip-components=1") or abort "tar"
formula = Nibble.new(folder/"prefix", folder/"test")
Dir.chdir(folder/"source") { formula.install }
ENV["LD_LIBRARY_PATH"] = formula.lib.to_s # Homebrew's own prefix is where the linker looks
Dir.chdir(folder/"test") { formula.instance_exec(&Nibble.check) }
puts "installed and tested"
