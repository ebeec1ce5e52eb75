//! `tern subscriber`, through the UDR and on its store.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tern_tests::core::{K, OPC, SUPI};

use crate::world::{World, isolated};

const OTHER: &str = "imsi-001010000000500";

#[test]
fn when_subscribers_are_administered_then_it_is_the_same_with_and_without_the_core() {
    isolated(
        "subscriber::when_subscribers_are_administered_then_it_is_the_same_with_and_without_the_core",
        both,
    );
}

async fn both() -> Result<()> {
    let mut world = World::start("").await?;
    administer(&world).await.context("with the core")?;

    // What was written stays; what is changed without the core is there when it is back.
    world.core.take().context("the core")?.stop().await?;
    let list = world.tern(&["subscriber", "list"]).await?;
    ensure!(list.is_empty(), "{list}");
    administer(&world).await.context("without the core")?;
    Ok(())
}

/// Leaves nothing behind.
async fn administer(world: &World) -> Result<()> {
    let add = ["subscriber", "add", SUPI, "--k", K, "--opc", OPC];
    ensure!(world.tern(&[&add[..], &["--count", "3"]].concat()).await?.contains("added 3"));
    let list = world.tern(&["subscriber", "list"]).await?;
    ensure!(list.lines().count() == 3 && list.contains("imsi-001010000000003"), "{list}");

    // What is there is not overwritten by mistake.
    let refused = world.tern_fails(&add).await?;
    ensure!(refused.contains(SUPI) && refused.contains("there already"), "{refused}");
    world.tern(&[&add[..], &["--replace", "--slice", "2-00000a", "--dnn", "ims"]].concat()).await?;
    let refused = world.tern_fails(&[&add[..], &["--replace", "--method", "eap-tls"]].concat()).await?;
    ensure!(refused.contains("eap-tls"), "{refused}");

    // Keys are shown to those who ask for them alone.
    let text = world.tern(&["subscriber", "show", SUPI]).await?;
    let shown: Value = serde_json::from_str(&text)?;
    ensure!(shown["supi"] == SUPI && !text.contains(K) && !text.contains(OPC), "{text}");
    ensure!(text.contains("ims") && text.to_lowercase().contains("00000a"), "{text}");
    let text = world.tern(&["subscriber", "show", SUPI, "--keys"]).await?;
    ensure!(text.contains(K) && text.contains(OPC), "{text}");
    let unknown = world.tern_fails(&["subscriber", "show", OTHER]).await?;
    ensure!(unknown.contains(OTHER) || unknown.contains("no such subscriber"), "{unknown}");

    // A record is what `show` prints; a table will do as well.
    let records = format!("[{text}]").replace(SUPI, OTHER);
    let file = world.directory.join("records.json");
    std::fs::write(&file, records)?;
    world.tern(&["subscriber", "import", &file.display().to_string()]).await?;
    let table = world.directory.join("table.csv");
    let row = format!("imsi-001010000000501,{K},{OPC},milenage,eap-aka-prime");
    std::fs::write(&table, format!("supi,k,opc\n{row}\n"))?;
    world.tern(&["subscriber", "import", &table.display().to_string()]).await?;
    let text = world.tern(&["subscriber", "show", "imsi-001010000000501"]).await?;
    ensure!(text.contains("eap-aka-prime"), "{text}");
    let list = world.tern(&["subscriber", "list"]).await?;
    ensure!(list.lines().count() == 5, "{list}");

    // A wrong record is named with its place, and none of the file is taken.
    std::fs::write(
        &table,
        format!("supi,k,opc\nimsi-001010000000502,{K},{OPC}\nimsi-001010000000503,{K},zz\n"),
    )?;
    let refused = world.tern_fails(&["subscriber", "import", &table.display().to_string()]).await?;
    ensure!(refused.contains("table.csv:3"), "{refused}");
    let list = world.tern(&["subscriber", "list"]).await?;
    ensure!(list.lines().count() == 5, "{list}");

    for number in [1, 2, 3, 500, 501] {
        world.tern(&["subscriber", "remove", &format!("imsi-{:015}", 1_010_000_000_000u64 + number)]).await?;
    }
    let refused = world.tern_fails(&["subscriber", "remove", SUPI]).await?;
    ensure!(refused.contains(SUPI) || refused.contains("no such subscriber"), "{refused}");
    Ok(())
}
