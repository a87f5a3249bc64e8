# The program of a release (bundled, the same for every architecture), run by nixpkgs' Deno.
{
  lib,
  stdenvNoCC,
  fetchurl,
  makeWrapper,
  deno,
  iptables,
  libbpf,
  libnetfilter_queue,
  # Another program archive, such as `deno task release VERSION` makes.
  program ? null,
}:
let
  release = lib.importJSON ./release.json;
in
stdenvNoCC.mkDerivation {
  pname = "btblocker";
  inherit (release) version;

  src =
    if program != null then
      program
    else if release.hash == null then
      throw "btblocker ${release.version} is not released yet; build the archive with `deno task release` and use btblocker.override { program = ./btblocker-${release.version}-program.tar.gz; }"
    else
      fetchurl { inherit (release) url hash; };

  nativeBuildInputs = [ makeWrapper ];
  dontConfigure = true;
  dontBuild = true;

  installPhase = ''
    runHook preInstall
    mkdir -p $out/lib/btblocker $out/bin
    cp btblocker.bpf.o main.js queue_worker.js $out/lib/btblocker/
    makeWrapper ${lib.getExe deno} $out/bin/btblocker \
      --set DENO_DIR /dev/null \
      --set DENO_NO_UPDATE_CHECK 1 \
      --prefix LD_LIBRARY_PATH : ${
        lib.makeLibraryPath [
          libbpf
          libnetfilter_queue
        ]
      } \
      --prefix PATH : ${lib.makeBinPath [ iptables ]} \
      --add-flags "run --quiet --no-config --no-lock --no-npm --no-remote --cached-only --no-code-cache" \
      --add-flags "--no-prompt --allow-all" \
      --add-flags "$out/lib/btblocker/main.js"
    runHook postInstall
  '';

  # A queue needs a kernel that lets us; the version does not.
  doInstallCheck = true;
  installCheckPhase = ''
    $out/bin/btblocker --version
  '';

  meta = {
    description = "Keeps BitTorrent off a Linux server or the networks behind it";
    license = lib.licenses.mit;
    mainProgram = "btblocker";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
