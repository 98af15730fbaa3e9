//! Search servers written in Java: their libraries by Maven, and a small program of our own that runs a node.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{client, found_or_packaged, on_path, once, quietly};
use crate::Result;

/// A Java Development Kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jdk {
    home: PathBuf,
    version: u32,
}

impl Jdk {
    /// The oldest on this machine that will do: what was built for it was tried with it.
    pub(crate) fn at_least(version: u32) -> Option<Self> {
        let mut homes: Vec<PathBuf> = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
        let on_path = on_path("javac").and_then(|javac| fs::canonicalize(javac).ok());
        homes.extend(on_path.and_then(|javac| Some(javac.parent()?.parent()?.to_owned())));
        for (parent, inside) in [
            ("/usr/lib/jvm", ""),
            ("/Library/Java/JavaVirtualMachines", "Contents/Home"),
            ("/opt/homebrew/opt", "libexec/openjdk.jdk/Contents/Home"),
        ] {
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            homes.extend(entries.map(|entry| entry.path().join(inside)));
        }
        let kits = homes.into_iter().filter_map(Self::in_folder).filter(|kit| kit.version >= version);
        kits.min_by_key(|kit| kit.version)
    }

    /// The same; as root it is installed where there is none.
    pub(crate) fn at_least_or_install(version: u32) -> Result<Self> {
        found_or_packaged(&format!("a JDK {version} or later"), "default-jdk-headless", || Self::at_least(version))
    }

    fn in_folder(home: PathBuf) -> Option<Self> {
        if !home.join("bin/javac").is_file() {
            return None;
        }
        let version = release(&fs::read_to_string(home.join("release")).ok()?)?;
        Some(Self { home, version })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// The 17 of `JAVA_VERSION="17.0.15"`; what came before 9 was called 1.8.
fn release(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    version.split(['.', '"', '-', '+']).next()?.parse().ok()
}

/// How a node takes its modules.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NodePlugin {
    /// As classes.
    Class,
    /// As classes with a description.
    Info,
}

/// A search server that runs inside of a Java program.
#[derive(Debug)]
pub(crate) struct JavaNode {
    pub(crate) name: &'static str,
    /// Group, name and version; Maven brings what it needs with it.
    pub(crate) artifact: (&'static str, &'static str, &'static str),
    pub(crate) least_java: u32,
    /// The package that its classes are in.
    pub(crate) root: &'static str,
    pub(crate) plugin: NodePlugin,
    /// Modules as classes, named from `root` on.
    pub(crate) modules: &'static [&'static str],
}

impl JavaNode {
    /// Our program and its libraries, as `java -cp` takes them.
    pub(crate) fn classpath(&self, jdk: &Jdk) -> Result<String> {
        let source = self.source();
        // Compiled for the oldest Java that will do: the folder serves every one. Another program has another folder.
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        let folder = once(&format!("{}-{:08x}", self.name, hasher.finish() as u32), |folder| {
            let libraries = folder.join("lib");
            let pom = folder.join("pom.xml");
            write(&pom, &self.pom())?;
            let mut maven = Command::new(client("mvn", "maven")?);
            maven.current_dir(folder).env("JAVA_HOME", &jdk.home).args(["-q", "-B", "-f"]).arg(&pom);
            maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
            quietly(maven.arg(format!("-DoutputDirectory={}", libraries.display())))?;

            let program = folder.join("TestNode.java");
            write(&program, &source)?;
            let mut compiler = Command::new(jdk.program("javac"));
            compiler.args(["-nowarn", "--release", &self.least_java.to_string(), "-cp"]);
            compiler.arg(format!("{}/*", libraries.display())).arg("-d").arg(folder.join("classes")).arg(&program);
            quietly(&mut compiler).map(drop)
        })?;
        Ok(format!("{0}/classes:{0}/lib/*", folder.display()))
    }

    fn pom(&self) -> String {
        let (group, artifact, version) = self.artifact;
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
             <groupId>test</groupId><artifactId>node</artifactId><version>1</version>\n  <dependencies>\n    \
             <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\
             </dependency>\n  </dependencies>\n</project>\n"
        )
    }

    fn source(&self) -> String {
        let (module, import, wrapped) = match self.plugin {
            NodePlugin::Class => ("Class<? extends Plugin>", "Plugin", "type"),
            NodePlugin::Info => (
                "PluginInfo",
                "PluginInfo",
                "new PluginInfo(name, \"\", \"\", ROOT.Version.CURRENT, \"\", name, null, List.of(), false)",
            ),
        };
        SOURCE
            .replace("MODULE", module)
            .replace("IMPORT", import)
            .replace("WRAPPED", wrapped)
            .replace("ROOT", self.root)
    }
}

fn write(file: &Path, text: &str) -> Result {
    fs::write(file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))
}

/// `TestNode FOLDER PORT TRANSPORT_PORT MODULE…`: one node that looks for no others.
const SOURCE: &str = r#"import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import ROOT.common.settings.Settings;
import ROOT.env.Environment;
import ROOT.node.Node;
import ROOT.plugins.Plugin;
import ROOT.plugins.IMPORT;

public final class TestNode extends Node {
    private TestNode(Environment environment, List<MODULE> modules) {
        super(environment, modules, false);
    }

    public static void main(String[] words) throws Exception {
        Path folder = Path.of(words[0]);
        List<MODULE> modules = new ArrayList<>();
        for (String name : List.of(words).subList(3, words.length)) {
            Class<? extends Plugin> type = Class.forName(name).asSubclass(Plugin.class);
            modules.add(WRAPPED);
        }
        Settings settings = Settings.builder()
            .put("path.home", folder.toString())
            .put("path.data", folder.resolve("data").toString())
            .put("path.logs", folder.resolve("logs").toString())
            .put("cluster.name", "kv-test")
            .put("node.name", "only")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", words[1])
            .put("transport.port", words[2])
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            // A full disk of the machine is no reason to refuse writes of a test.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            // Nor are its garbage, which this collector leaves until it needs the room, and several of the largest
            // values at a time, which are more than the usual tenth of a heap as small as this.
            .put("indices.breaker.total.use_real_memory", false)
            .put("indexing_pressure.memory.limit", "60%")
            .build();
        new TestNode(new Environment(settings, folder.resolve("config")), modules).start();
        Thread.currentThread().join();
    }
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java() {
        assert_eq!(release("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.15\"\n"), Some(17));
        assert_eq!(release("JAVA_VERSION=\"25\"\n"), Some(25));
        assert_eq!(release("JAVA_VERSION=\"1.8.0_1\"\n"), Some(1));
        assert_eq!(release(""), None);
    }

    #[test]
    fn the_program_names_nothing_unfilled() {
        for plugin in [NodePlugin::Class, NodePlugin::Info] {
            let node = JavaNode {
                name: "n",
                artifact: ("g", "a", "1"),
                least_java: 11,
                root: "org.example",
                plugin,
                modules: &["x.Y"],
            };
            let source = node.source();
            for placeholder in ["ROOT", "MODULE", "IMPORT", "WRAPPED"] {
                assert!(!source.contains(placeholder), "{source}");
            }
        }
    }
}
